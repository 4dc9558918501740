"""Tests of slices call the whole application, and observe it by the kit's GET /whoami."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import running, whole


@pytest.fixture(scope="session")
async def client_for(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the running application: `client_for(token)`, `client_for()`."""
    async with running(create_app(settings, whole())) as client:
        yield client
