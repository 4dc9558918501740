"""The application under test, whole, and how to call it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from kernel.app import create_app
from kernel.settings import Settings
from kit.servers import Stack

API = "http://api.test/api/v1"


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """The settings that a deployment in front of this stack would have."""
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


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Run the application's lifespan; yields a maker of clients: `client(token)`."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 4711))

        def client(token: str | None = None) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return httpx.AsyncClient(transport=transport, base_url=API, headers=headers)

        yield client


@pytest.fixture(scope="session")
async def client_for(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the running application: `client_for(token)`, `client_for()`."""
    async with running(create_app(settings)) as client:
        yield client


@pytest.fixture
async def anonymous(
    client_for: Callable[..., httpx.AsyncClient],
) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with client_for() as client:
        yield client
