"""Applications under test, and clients that call them.

Tests of the platform call an application that consists of the kit's own slices (kit/slices). Tests
of slices call the whole application (tests/features/conftest.py).
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address, ip_network
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from kernel import Feature
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.config.settings import Settings
from kernel.redis import clients
from kernel.redis.multiplexed import Multiplexed
from kit.contract import checked
from kit.servers import Stack

API = "http://api.test/api/v1"
CLIENTS = ip_network("198.18.0.0/15")  # RFC 2544: reserved for tests
SLICES: Mapping[str, Feature] = discover("kit.slices")
"""The kit's own slices, by name."""
_ADDRESSES = count(int(CLIENTS[1]))


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """The settings of a deployment that uses this stack."""
    cache = urlsplit(stack.cache_url)
    return Settings.model_validate(
        {
            "supabase_url": stack.supabase_url,
            "supabase_key": stack.gateway.anon_key,
            "supabase_service_key": stack.gateway.service_key,
            "jwt_secret": stack.gateway.jwt_secret,
            "redis_host": cache.hostname,
            "redis_port": cache.port,
            "redis_db": int(cache.path.strip("/") or 0),
            "app_env": "test",
        }
    )


@pytest.fixture(scope="session")
def drop_reads(settings: Settings) -> Iterator[Callable[[], None]]:
    """Drops all cached reads, as a relay does after a write past the API: no relay runs here."""
    host, port, db = settings.redis_host, settings.redis_port, settings.redis_db
    with Redis(host=host, port=port, db=db) as redis:

        def drop() -> None:
            if versions := list(redis.scan_iter("tag:*", count=1000)):
                redis.unlink(*versions)

        yield drop


@pytest.fixture
def patient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises Redis's deadline to 2 s, for tests that are not about it: test machines are busy."""
    monkeypatch.setattr(clients, "Multiplexed", partial(Multiplexed, seconds=2.0))


class Elsewhere(httpx.ASGITransport):
    """Sends each request from a new address, so that no test reaches a rate limit by accident."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        self.client = (str(ip_address(next(_ADDRESSES))), 4711)
        return await super().handle_async_request(request)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Run the application's lifespan; yield a maker of clients: `client(token)`.

    `client(address="203.0.113.7")` always calls from that address. Other clients use a new address
    for each request.
    """
    async with app.router.lifespan_context(app):

        def client(token: str | None = None, address: str | None = None) -> httpx.AsyncClient:
            transport = (
                httpx.ASGITransport(app=app, client=(address, 4711)) if address else Elsewhere(app)
            )
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            hooks = {"response": [checked(app)]}
            return httpx.AsyncClient(
                transport=transport, base_url=API, headers=headers, event_hooks=hooks
            )

        yield client


@pytest.fixture(scope="session")
async def client_for(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the kit's application: `client_for(token)`, `client_for()`.

    In tests/features it makes clients of the application itself.
    """
    async with running(create_app(settings, SLICES)) as client:
        yield client


def whole() -> dict[str, Feature]:
    """Return all slices of the application, and slices by which the tests of slices observe it.

    GET /whoami says whether a session is valid; GET /whoami/stored returns the stored user. POST
    /enter, /renew and /leave begin, renew and end a session.
    """
    return {**discover(), **{name: SLICES[name] for name in ("whoami", "enter", "renew", "leave")}}


@pytest.fixture
async def anonymous(
    client_for: Callable[..., httpx.AsyncClient],
) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with client_for() as client:
        yield client
