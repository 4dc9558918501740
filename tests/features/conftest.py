"""Tests of slices call the whole application, and observe it by the kit's GET /whoami."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import running, whole
from kit.own_database import OwnDatabase


@pytest.fixture(scope="session")
async def client_for(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the running application: `client_for(token)`, `client_for()`."""
    async with running(create_app(settings, whole())) as client:
        yield client


@pytest.fixture
async def own_client_for(
    own_stack: OwnDatabase,
) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of an application with a separate database, for tests of whole tables."""
    async with running(create_app(own_stack.settings)) as client:
        yield client


@pytest.fixture
async def own_admin(
    own_stack: OwnDatabase, own_client_for: Callable[..., httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that application, signed in as an admin."""
    _, token = await own_stack.sign_up("admin")
    async with own_client_for(token) as client:
        yield client


@pytest.fixture
async def own_user(
    own_stack: OwnDatabase, own_client_for: Callable[..., httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that application, signed in as a user."""
    _, token = await own_stack.sign_up()
    async with own_client_for(token) as client:
        yield client
