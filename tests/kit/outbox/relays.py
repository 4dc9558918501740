"""A relay with its jobs and cached reads, and what it has done."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import svcs
from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, Drops, everyone
from kernel.events import known_events
from kernel.identity.revocation import Revocations
from kernel.jobs import every, job, minutes
from kernel.jobs.broker import celery_app
from kernel.jobs.publisher import Publisher
from kernel.jobs.table import JobTable
from kernel.jobs.unreadable import UnreadableMessages
from kernel.live import LiveStream, Topic
from kernel.outbox import relay
from kernel.outbox.outbox import Claimed, Outbox
from kernel.outbox.recovery import Recovery
from kernel.redis import connect_alarm
from kernel.supabase import AsService
from kernel.web.routing import Answer
from kit.own_database import OwnDatabase
from kit.slices.shared.things import ThingChanged, ThingPublished
from kit.valkeys import Valkey
from kit.waiting import until


@job(on=ThingPublished, once_per="thing_id")
async def tell(thing_id: UUID) -> None:
    pass


@job(on=ThingPublished, queue="cpu")
def draw(thing_id: UUID) -> None:
    pass


@job(schedule=every(minutes(10)))
async def tick() -> None:
    pass


THING = Cached("kept-thing:{thing_id}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
PAGE = Cached("kept-things:page:{page}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
router = APIRouter()


@router.get("/kept-things/{thing_id}")
@THING.serves
async def kept_thing(thing_id: UUID) -> Answer[UUID]:
    return Answer(thing_id)


@router.get("/kept-things")
@PAGE.serves
async def kept_things(page: int = 1) -> Answer[int]:
    return Answer(page)


TOPICS = (Topic("things", on=ThingPublished, audience=everyone),)
FEATURES = {
    "tested": Feature(router=router, caller="ignored", jobs=(tell, draw, tick), topics=TOPICS)
}
JOBS = JobTable.of(FEATURES)


class CountingOutbox(Outbox):
    """The outbox; counts how often it was queried."""

    claims = 0

    async def claim(self, **options: Any) -> list[Claimed]:
        self.claims += 1
        return await super().claim(**options)


@contextlib.asynccontextmanager
async def running_relay(
    own: OwnDatabase, *, outbox: type[Outbox] = CountingOutbox, lost_after: int = 3600
) -> AsyncIterator[relay.Relay]:
    async with own.services(FEATURES) as services:
        container = svcs.Container(services)
        drops, revocations, db = container.get(Drops, Revocations, AsService)
        publisher = Publisher(celery_app(own.settings), JOBS)
        rows = outbox(db)
        unreadable = container.get(UnreadableMessages)
        one = relay.Relay(
            rows,
            publisher,
            drops=drops,
            live=container.get(LiveStream),
            revocations=revocations,
            recovery=Recovery(rows, publisher, unreadable, lost_after_seconds=lost_after),
            jobs=JOBS,
            events=known_events("kit.slices.shared"),
            alarm=connect_alarm(own.settings),
        )
        yield one
        publisher.close()


def messages(own: OwnDatabase, queue: str = "default") -> list[tuple[str, UUID]]:
    """Return the messages of a queue, newest first: job, run, event."""
    found = [json.loads(text) for text in own.broker.client.lrange(queue, 0, -1)]
    return [(one["headers"]["task"], UUID(one["headers"]["id"])) for one in found]


def published(own: OwnDatabase, run: UUID) -> int:
    return [found for _, found in messages(own)].count(run)


def tag_version(own: OwnDatabase, tag: str) -> Any:
    return own.cache.client.get(f"tag:{tag}")


def run_of(thing: UUID) -> UUID:
    return tell.run_id(ThingPublished(thing_id=thing, author_id=uuid4()), 0, 0)


async def pending(own: OwnDatabase) -> list[str]:
    rows = await own.events()
    return [row["topic"] for row in rows if row["delivered_at"] is None]


async def turned(one: relay.Relay, condition: Callable[[], Any]) -> Any:
    """Run turns of the relay until the condition holds."""

    async def again() -> Any:
        await one.turn()
        found = condition()
        return await found if asyncio.iscoroutine(found) else found

    return await until(again)


@contextlib.asynccontextmanager
async def taken_away(server: Valkey, how: str) -> AsyncIterator[None]:
    """Freeze a server (it does not respond), or kill it (it refuses connections)."""
    if how == "silent":
        with server.frozen():
            yield
        return
    server.kill()
    try:
        yield
    finally:
        await server.start()


@contextlib.asynccontextmanager
async def renamed(own: OwnDatabase, function: str) -> AsyncIterator[None]:
    """Rename a function, so that it is missing as in an older schema."""
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")


async def none_pending(own: OwnDatabase) -> bool:
    return not await pending(own)
