"""A Supabase that requires confirmed addresses, and the inbox that receives its mails."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from devstack.testing import GatewayThread, Mail, Mailbox, start_smtp
from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import running, whole
from kit.servers import Stack


@pytest.fixture(scope="session")
def mailbox() -> Mailbox:
    """All mails that were sent."""
    return Mailbox()


@pytest.fixture(scope="session")
async def smtp_port(mailbox: Mailbox) -> AsyncIterator[int]:
    """The port of a server that stores every mail in the mailbox."""
    server = await start_smtp(0, mailbox.add)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def confirming_supabase_url(stack: Stack, smtp_port: int) -> Iterator[str]:
    """A gateway to the same database that requires new addresses to be confirmed."""
    config = replace(stack.gateway, autoconfirm=False, mail_interval=60, smtp_port=smtp_port)
    with GatewayThread(config) as gateway:
        yield gateway.url


@pytest.fixture(scope="session")
async def confirming_client_for(
    settings: Settings, confirming_supabase_url: str
) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of an application whose Supabase requires confirmed addresses."""
    changed = settings.model_copy(update={"supabase_url": confirming_supabase_url})
    async with running(create_app(changed, whole())) as client:
        yield client


@pytest.fixture
async def confirming(
    confirming_client_for: Callable[..., httpx.AsyncClient],
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that application, without a token."""
    async with confirming_client_for() as client:
        yield client


def links(mail: Mail) -> tuple[list[str], list[str]]:
    """Return the links in a mail's text and HTML."""
    return re.findall(r"https?://\S+", mail.text), re.findall(r'href="([^"]+)"', mail.html)


def token_in(link: str) -> str:
    """Return the token in the fragment of a mailed link."""
    return parse_qs(urlsplit(link).fragment)["token"][0]
