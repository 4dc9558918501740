"""An event class without a topic in SQL stops the start of the relay: its jobs would never run."""

import asyncio
from uuid import UUID

import pytest
from fastapi import APIRouter
from pydantic import create_model

from kernel import Feature
from kernel.boot.discovery import BootError
from kernel.boot.processes import run_relay
from kernel.boot.topics import require_topics
from kernel.cache import Cached, everyone, minutes
from kernel.events import Event
from kernel.jobs import job
from kernel.live import Topic
from kernel.supabase import AsService, SupabaseHttp
from kit.application import SLICES
from kit.slices.shared.things import ThingChanged

MOVED = create_model("ThingMoved", __base__=Event, thing_id=(UUID, ...))
WIDER = create_model("ThingChanged", __base__=ThingChanged, reason=(str, ...))


def following(event: type[Event]) -> Feature:
    @job(on=event)
    async def follow() -> None: ...

    return Feature(jobs=(follow,))


def dropped_on(event: type[Event]) -> Feature:
    router = APIRouter()
    kept = Cached("motto", ttl=minutes(1), audience=everyone, drop_on=(event,))

    @router.get("/motto")
    @kept.serves
    async def motto() -> str:
        return "motto"

    return Feature(router=router, caller="ignored")


def shown(event: type[Event]) -> Feature:
    return Feature(topics=(Topic("moves", on=event, audience=everyone),))


@pytest.mark.parametrize(
    ("feature", "sentence"),
    [
        (following(MOVED), "the job follow follows ThingMoved, and the database has no topic"),
        (dropped_on(MOVED), "the cached read motto follows ThingMoved, and the database has no"),
        (shown(MOVED), "the live topic moves follows ThingMoved, and the database has no topic"),
        (following(WIDER), "its topic thing_changed has no field reason"),
    ],
)
async def test_the_relay_does_not_start_for_an_event_without_a_topic(settings, feature, sentence):
    with pytest.raises(BootError, match=sentence) as raised:
        await asyncio.to_thread(run_relay, settings, {**SLICES, "follow_it": feature})
    assert "features/follow_it: " in str(raised.value)


async def test_events_with_topics_pass(settings):
    async with SupabaseHttp(settings) as http:
        await require_topics(AsService(http), SLICES)


async def test_a_relay_starts_while_the_database_is_away(settings, unused_tcp_port):
    away = settings.model_copy(update={"supabase_url": f"http://127.0.0.1:{unused_tcp_port}"})
    async with SupabaseHttp(away) as http:
        await require_topics(AsService(http), {"follow_it": following(MOVED)})
