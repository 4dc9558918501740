"""A Supabase that wants addresses confirmed, and the inbox where its mails arrive."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from devstack.inbox.mailbox import Mailbox
from devstack.inbox.smtp import start_smtp
from devstack.testing import GatewayThread
from kit.servers import Stack


@pytest.fixture(scope="session")
def mailbox() -> Mailbox:
    """All mails that were sent."""
    return Mailbox()


@pytest.fixture(scope="session")
async def smtp_port(mailbox: Mailbox) -> AsyncIterator[int]:
    """The port of a server that puts every mail into the mailbox."""
    server = await start_smtp(0, mailbox.add)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def confirming_supabase_url(stack: Stack, smtp_port: int) -> Iterator[str]:
    """A gateway in front of the same database, where new addresses wait for confirmation."""
    config = replace(stack.gateway, autoconfirm=False, mail_interval=60, smtp_port=smtp_port)
    with GatewayThread(config) as gateway:
        yield gateway.url
