"""Processes that read one value through the cache and write it, one step at a time."""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from fastapi import APIRouter
from fastapi.routing import APIRoute
from freezegun.api import TickingDateTimeFactory

from kernel.cache import Cached, CacheUnavailable, Drops, everyone, seconds
from kernel.cache.lookup import Lookup, RouteCache
from kernel.cache.reads import Reads
from kernel.cache.stored import Kind, RenderedResponse
from kernel.core.caller import ANONYMOUS
from kernel.events import Event
from kernel.redis import Pipeline
from kit.schedule import Schedule, Scheduled

AGE: Final = 60.0


class ThingChanged(Event):
    """The thing was written."""

    thing_id: UUID


THING: Final = Cached(
    "thing:{thing_id}",
    ttl=seconds(AGE),
    audience=everyone,
    drop_on=(ThingChanged,),
    stale=seconds(10 * AGE),
)


def place(thing_id: UUID) -> Lookup:
    """Return the lookup of the thing, as a route would."""
    router = APIRouter()

    @router.get("/things/{thing_id}")
    @THING.serves
    async def thing(thing_id: UUID) -> int:
        raise NotImplementedError

    (route,) = (one for one in router.routes if isinstance(one, APIRoute))
    found = RouteCache(route, route.path, needs_token=False).find(
        f"/things/{thing_id}", b"", ANONYMOUS
    )
    assert found is not None
    return found


class World:
    """The database, which holds one growing number, and the clock.

    `dropped` is the newest number whose drop has completed: a read that begins now must not return
    an older one.
    """

    def __init__(self, schedule: Schedule, clock: TickingDateTimeFactory) -> None:
        self.schedule, self.clock = schedule, clock
        self.thing_id = uuid4()
        self.lookup = place(self.thing_id)
        self.number = self.dropped = self.loads = 0

    async def load(self) -> RenderedResponse:
        """Read the number from the database; return the response one step later."""
        await self.schedule.pause()
        self.loads += 1
        body = str(self.number).encode()
        await self.schedule.pause()
        return RenderedResponse(200, [(b"content-type", b"application/json")], body)


@dataclass
class Seen:
    """What a reader saw, and the oldest number that it was allowed to see."""

    number: int
    at_least: int


class Process:
    """One of several processes: it has its own connection, single flight and count of drops."""

    def __init__(self, world: World, pipeline: Pipeline) -> None:
        self.world = world
        self._redis = Scheduled(pipeline, world.schedule)
        self._drops = Drops(self._redis, {THING: ()})
        self.reads = Reads(self._redis, self._drops)

    async def read(self) -> Seen:
        """Read as the Edge does."""
        await self.world.schedule.pause()
        at_least = self.world.dropped
        (reply,) = await self._redis.ask(self.world.lookup.command)
        found = self.reads.judge(reply)
        if found.value is None or found.value.kind is not Kind.BODY:
            body = (await self.reads.load(self.world.lookup, found, self.world.load)).body
        else:
            body = found.value.body
            if self.reads.is_old(found.value):
                self.reads.renew(self.world.lookup, found, self.world.load)
        return Seen(int(body), at_least)

    async def write(self) -> None:
        """Write, and drop the cached value; retry until the cache accepts the drop."""
        await self.world.schedule.pause()
        self.world.number += 1
        written = self.world.number
        while True:
            try:
                await self._drops.drop([ThingChanged(thing_id=self.world.thing_id)])
            except CacheUnavailable:
                await asyncio.sleep(0.01)
            else:
                break
        self.world.dropped = max(self.world.dropped, written)

    async def grow_old(self) -> None:
        """Advance the clock until the cached value is stale."""
        await self.world.schedule.pause()
        self.world.clock.tick(2 * AGE)
