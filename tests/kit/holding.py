"""A cached read whose loads a test can hold open, in any number of processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from uuid import UUID

import httpx
import svcs
from fastapi import APIRouter, FastAPI

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes
from kernel.cache.drops import Announce
from kernel.config.settings import Settings
from kernel.core.caller import Caller
from kernel.errors import NotFound
from kernel.events import Event
from kernel.web.routing import Answer, Services
from kit.application import running

THING: Final = UUID("3820052a-bbd0-4a50-bce5-53a231166443")


class ThingChanged(Event):
    """The thing was written."""

    thing_id: UUID


class Origin:
    """The source of the things and of their loads: `hold()` stops loads that begin after it.

    The users in `seen_by` find `thing` (None: everyone does); for others it does not exist.
    """

    def __init__(self) -> None:
        self.thing = "old"
        self.seen_by: UUID | None = None
        self.loads: list[UUID | None] = []
        self.fails: Exception | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._begins = asyncio.Event()

    def hold(self) -> None:
        """Stop loads after they have read and before they return."""
        self._open.clear()

    def release(self) -> None:
        """Let all loads continue."""
        self._open.set()

    async def load(self, caller: Caller) -> str:
        """Read the thing now; return it when loads may continue."""
        self.loads.append(caller.user_id)
        self._begins.set()
        thing, seen_by, fails = self.thing, self.seen_by, self.fails
        await self._open.wait()
        if fails is not None:
            raise fails
        if seen_by not in {None, caller.user_id}:
            raise NotFound
        return thing

    async def loading(self, number: int = 1) -> None:
        """Wait until this many loads have begun."""
        async with asyncio.timeout(20):
            while len(self.loads) < number:
                self._begins.clear()
                await self._begins.wait()


def holding_feature(origin: Origin, **options: Any) -> Feature:
    """Return a slice with one cached read, GET /things/{thing_id}."""
    cached: dict[str, Any] = {
        "ttl": minutes(5), "audience": everyone, "drop_on": (ThingChanged,)
    }  # fmt: skip
    rule = options.pop("caller", "optional")
    key = options.pop("key", "thing:{thing_id}")
    router = APIRouter()

    @router.get("/things/{thing_id}")
    @Cached(key, **cached | options).serves
    async def read_thing(thing_id: UUID, services: Services) -> Answer[str]:
        return Answer(await origin.load(await services.aget(Caller)))

    return Feature(router=router, caller=rule)


Client = Callable[..., httpx.AsyncClient]


class Replica:
    """One process of the application: `client(token)` calls it, `write` writes the thing."""

    def __init__(self, app: FastAPI, client: Client) -> None:
        self.app, self.client = app, client

    async def write(self, origin: Origin, thing: str) -> None:
        """Commit, and announce the change."""
        origin.thing = thing
        async with svcs.Container(self.app.state.services) as services:
            await (await services.aget(Announce))(ThingChanged(thing_id=THING))


@contextlib.asynccontextmanager
async def replicas(settings: Settings, feature: Feature, number: int) -> AsyncIterator[Any]:
    """Run this many applications with this one slice, like processes side by side."""
    async with contextlib.AsyncExitStack() as stack:
        apps = [create_app(settings, {"read_thing": feature}) for _ in range(number)]
        yield [Replica(app, await stack.enter_async_context(running(app))) for app in apps]
