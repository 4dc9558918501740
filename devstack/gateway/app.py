"""The parts of the gateway behind one URL, as in Supabase's own API gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from devstack.gateway.auth import AuthServer
from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest import RestApi
from devstack.gateway.storage import StorageServer

# The keys are public, so they protect nothing: a web page of another site must not reach the
# gateway through the developer's browser. CORS prevents it from reading responses, and the list of
# host names from using a host name that resolves to this machine (DNS rebinding).
_LOCAL_ORIGINS = r"https?://(127\.0\.0\.1|\[::1\]|([a-z0-9-]+\.)*localhost)(:[0-9]+)?"
_HOSTS = [
    "127.0.0.1",
    "localhost",
    "*.localhost",
    "host.docker.internal",  # this machine, for programs in Docker Desktop
    "10.0.2.2",  # this machine, for programs in Android's emulator
]


def create_app(config: GatewayConfig) -> Starlette:
    """Return the gateway: /auth/v1, /rest/v1 and /storage/v1, and a description at /."""
    auth, rest, storage = AuthServer(config), RestApi(config), StorageServer(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with auth, rest, storage:
            yield

    return Starlette(
        routes=[
            Route("/", _about),
            Mount("/auth/v1", app=auth),
            Mount("/rest/v1", app=rest),
            Mount("/storage/v1", app=storage),
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS),
            Middleware(
                CORSMiddleware,
                allow_origin_regex=_LOCAL_ORIGINS,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=[
                    *("Content-Range", "X-Supabase-Api-Version", "X-Sb-Error-Code"),
                    *("Location", "Upload-Offset", "Upload-Length", "Upload-Expires"),
                    *("Upload-Metadata", "Tus-Version", "Tus-Resumable", "Tus-Extension"),
                ],
            ),
        ],
    )


async def _about(_: Request) -> PlainTextResponse:
    return PlainTextResponse(
        "A local, Supabase-compatible gateway for development: /auth/v1, /rest/v1, /storage/v1.\n"
    )
