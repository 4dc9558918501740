"""An application with its server in this process, and clients of its live updates."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
import svcs
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kernel import Feature
from kernel.boot.app import Application, create_app
from kernel.boot.discovery import discover
from kernel.boot.protocol import ServerProtocol
from kernel.boot.server import UVICORN
from kernel.boot.timed import Served
from kernel.cache import everyone, one_caller
from kernel.config.settings import Settings
from kernel.events import Event, SessionEnded
from kernel.live import LiveStream, Topic
from kernel.observe import Readiness
from kit.slices.shared.things import ThingChanged
from kit.small import changed, feature
from kit.waiting import until

_TOPICS: Final = (
    Topic("things", on=ThingChanged, audience=everyone),
    Topic("ends:{user_id}", on=SessionEnded, audience=one_caller),
)


_BUFFER: Final = 16 * 1024
_QUIET: Final = logging.getLogger("kit.live")
_QUIET.setLevel(logging.WARNING)


def live_features(*slices: str) -> dict[str, Feature]:
    """Return these slices, and one with the topics `things`, and `ends:{user_id}` for that user."""
    found = discover()
    return {**{name: found[name] for name in slices}, "topics": feature("topics", topics=_TOPICS)}


class Socket:
    """A WebSocket client; `code` is how the server closed it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, kind: str, **content: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps({"type": kind, **content}))

    async def told(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(10):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def follow(self, *topics: str, since: str | None = None) -> dict[str, Any]:
        """Subscribe; return the answer."""
        await self.say("subscribe", topics=topics, since=since)
        return await self.told()

    async def code(self) -> int:
        """Read until the server closes the socket; return the close code."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code


@contextlib.asynccontextmanager
async def opened(
    port: int,
    token: str | None = None,
    *,
    path: str = "/api/v1/live",
    address: str = "127.0.0.1",
    **headers: str,
) -> AsyncIterator[Socket]:
    """Open a WebSocket. Raises websockets.exceptions.InvalidStatus if it is refused."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    plain.bind((address, 0))
    plain.setblocking(False)  # noqa: FBT003 - a positional parameter
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    async with connect(
        f"ws://127.0.0.1:{port}{path}",
        additional_headers=headers,
        compression=None,
        sock=plain,
        proxy=None,
        logger=_QUIET,  # it would log each frame
        ping_interval=None,
        max_queue=None,  # else unread messages keep it from reading the close frame
    ) as one:
        yield Socket(one)


class LiveServer:
    """The application on a port of this machine."""

    def __init__(self, app: Application, port: int) -> None:
        self.app, self.port = app, port

    def service(self, kind: type[Any]) -> Any:
        """Return a service of the application."""
        return svcs.Container(self.app.state.services).get(kind)

    async def write(self, *events: Event) -> None:
        """Write events into the stream, as the relay does."""

        stream: LiveStream = self.service(LiveStream)
        await stream.write(events)

    async def changes(self, number: int) -> list[str]:
        """Write changes of so many things together; return their ids."""
        events = [ThingChanged(thing_id=uuid4()) for _ in range(number)]
        await self.write(*events)
        return [str(event.thing_id) for event in events]

    async def change(self) -> str:
        """Write the change of a thing; return its id."""
        (thing,) = await self.changes(1)
        return thing

    async def end_of(self, user_id: UUID) -> None:
        """Write an event of that user's topic."""
        await self.write(SessionEnded(session_id=uuid4(), user_id=user_id))

    def drain(self) -> None:
        """Let the process drain, as after SIGTERM."""
        readiness: Readiness = self.service(Readiness)
        readiness.draining = True

    def socket(
        self, token: str | None = None, **options: str
    ) -> AbstractAsyncContextManager[Socket]:
        """Open a WebSocket: see `opened`."""
        return opened(self.port, token, **options)

    @contextlib.asynccontextmanager
    async def events(
        self, *topics: str, token: str | None = None, since: str | None = None
    ) -> AsyncIterator[Callable[[], Any]]:
        """Open an event stream; yield a function that returns the next event as a dictionary."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if since is not None:
            headers["Last-Event-ID"] = since
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/api/v1") as client:
            query = {"topics": topics}
            async with client.stream(
                "GET", "/live/events", params=query, headers=headers
            ) as answer:
                assert answer.status_code == 200, await answer.aread()
                lines = answer.aiter_lines()

                async def told() -> dict[str, str]:
                    found: dict[str, str] = {}
                    async with asyncio.timeout(10):
                        async for line in lines:
                            if not line and found:
                                return found
                            name, _, value = line.partition(": ")
                            if name:
                                found[name] = value
                    return found

                yield told


@contextlib.asynccontextmanager
async def live_serving(app: Application) -> AsyncIterator[LiveServer]:
    """Serve the application as `./app api` does, with its lifespan, in this event loop."""
    async with app.router.lifespan_context(app):
        served = Served(app.front, app.connections, app.sockets.takes)
        config = uvicorn.Config(served, port=0, lifespan="off", http=ServerProtocol, **UVICORN)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        listening = server.servers[0].sockets[0]
        # Accepted connections inherit it: a client that does not read is noticed soon.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        try:
            yield LiveServer(app, listening.getsockname()[1])
        finally:
            server.should_exit = True
            await task


NewLive = Callable[..., Any]


@pytest.fixture
async def new_live(settings: Settings, patient_redis: None) -> AsyncIterator[NewLive]:
    """Starts applications: `await new_live("live", live_per_user=1)` with slices and settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*slices: str, **changes: Any) -> LiveServer:
            generous = {"rate_limit_default": "100000/minute", **changes}
            features: Mapping[str, Feature] = live_features(*slices)
            app = create_app(changed(settings, **generous), features)
            return await stack.enter_async_context(live_serving(app))

        yield start
