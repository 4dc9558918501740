"""Wake-ups: a relay that waits goes on as soon as somebody wrote, or else a second later."""

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial

import pytest

from kernel.boot.app import create_app
from kernel.jobs import every, minutes
from kernel.outbox import relay
from kernel.outbox.beat import Beat
from kernel.outbox.outbox import Outbox
from kernel.redis import Alarm, WakeUps, connect_alarm, connect_pipeline, connect_redis
from kernel.redis.wake_ups import KEY
from kit.application import SLICES, running
from kit.outbox.relays import none_pending, published, run_of, running_relay, taken_away, tick
from kit.waiting import until

NEVER = 3600.0  # no relay looks by itself in these tests


@pytest.fixture
async def wake_ups(own_stack):
    """Wake-ups of another process."""
    redis = connect_pipeline(own_stack.settings)
    found = WakeUps(redis)
    yield found
    await found.aclose()
    await redis.aclose()


@contextlib.asynccontextmanager
async def waiting_relays(own, number):
    """Run relays that have found nothing, and wait to be woken."""
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        relays = [await stack.enter_async_context(running_relay(own)) for _ in range(number)]
        tasks = [asyncio.create_task(one.run(stop)) for one in relays]
        try:
            await until(lambda: len(waiting(own)) == number)
            yield relays
        finally:
            stop.set()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)


def waiting(own):
    return [one for one in own.cache.client.client_list() if "b" in one["flags"]]


def claims(relays):
    return sum(one._outbox.claims for one in relays)


def claimed(relays, number):
    return claims(relays) >= number


def waits(own):
    """Whether a wake-up waits for a relay."""
    return own.cache.client.exists(KEY) == 1


def sent(own):
    """Count the wake-ups that Redis has received."""
    return own.cache.client.info("commandstats").get("cmdstat_zadd", {}).get("calls", 0)


async def test_a_relay_that_is_woken_goes_on_at_once(own_stack, wake_ups, monkeypatch):
    monkeypatch.setattr(relay, "IDLE_SECONDS", NEVER)
    author = await own_stack.user()
    async with waiting_relays(own_stack, 1):
        for _ in range(2):
            thing = await own_stack.thing(author)
            wake_ups.send_soon()
            await until(lambda: none_pending(own_stack))
            assert published(own_stack, run_of(thing)) == 1


async def test_a_wake_up_wakes_one_of_several_relays(own_stack, wake_ups, monkeypatch):
    monkeypatch.setattr(relay, "IDLE_SECONDS", NEVER)
    async with waiting_relays(own_stack, 3) as relays:
        for number in range(1, 5):
            wake_ups.send_soon()
            expected = 3 + number  # each has looked once
            await until(partial(claimed, relays, expected))
            await until(lambda: len(waiting(own_stack)) == 3)
            assert claims(relays) == expected


async def test_wake_ups_that_come_together_are_one(own_stack, wake_ups, monkeypatch):
    monkeypatch.setattr(relay, "IDLE_SECONDS", NEVER)
    before = sent(own_stack)
    for _ in range(1000):
        wake_ups.send_soon()
    await until(lambda: waits(own_stack))
    for _ in range(1000):
        wake_ups.send_soon()
    await until(lambda: wake_ups._sending is None)
    assert sent(own_stack) - before == 2
    async with running_relay(own_stack) as one:  # what it was told while it was away is one claim
        stop = asyncio.Event()
        task = asyncio.create_task(one.run(stop))
        await until(lambda: waiting(own_stack))
        assert claims([one]) == 2
        stop.set()
        await task


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_without_redis_a_relay_looks_by_itself_and_is_woken_again_later(
    own_stack, wake_ups, how
):
    author = await own_stack.user()
    async with waiting_relays(own_stack, 1):
        async with taken_away(own_stack.cache, how):
            thing = await own_stack.thing(author)
            wake_ups.send_soon()
            await until(lambda: published(own_stack, run_of(thing)))
        await until(lambda: waiting(own_stack))
        await until(lambda: none_pending(own_stack))


async def test_an_alarm_that_lost_its_connection_waits_again(own_stack, wake_ups):
    alarm = connect_alarm(own_stack.settings)
    rang = asyncio.create_task(alarm.rang())
    await until(lambda: waiting(own_stack))
    own_stack.cache.client.client_kill_filter(_id=waiting(own_stack)[0]["id"])
    await until(lambda: waiting(own_stack))
    wake_ups.send_soon()
    await asyncio.wait_for(rang, 20)
    await alarm.aclose()


async def test_who_writes_through_the_api_wakes_a_relay_and_who_reads_does_not(own_stack):
    _, token = await own_stack.sign_up()
    app = create_app(own_stack.settings, SLICES)
    async with running(app) as client_for, client_for(token) as client:
        body = {"title": "A title", "content": "{}", "published": True}
        assert (await client.post("/things", json={})).status_code == 422
        assert (await client.get("/things")).status_code == 200
        assert not waits(own_stack)
        assert (await client.post("/things", json=body)).status_code == 201
        await until(lambda: waits(own_stack))


async def test_a_slot_that_beat_put_wakes_a_relay(own_stack, wake_ups):
    begun = every(minutes(20)).slot(datetime.now(UTC))
    await own_stack.sql.execute("insert into jobs.slots values ($1, $2)", tick.name, begun)
    async with own_stack.as_service() as db:
        beat = Beat(Outbox(db), [tick], wake_ups)
        await own_stack.sql.execute("update jobs.slots set slot = slot - interval '1 day'")
        await beat.turn()
        await until(lambda: waits(own_stack))
        await until(lambda: wake_ups._sending is None)
        before = sent(own_stack)
        await beat.turn()
        assert (wake_ups._sending, sent(own_stack)) == (None, before)


class Swallowing(Alarm):
    """An alarm that swallows the first cancellation, as redis-py's calls do at times."""

    waits = False

    async def rang(self):
        self.waits = True
        with contextlib.suppress(asyncio.CancelledError):
            await super().rang()
        await super().rang()


async def test_a_relay_ends_even_if_a_cancellation_is_swallowed(own_stack):
    async with running_relay(own_stack) as one:
        one._alarm = alarm = Swallowing(connect_redis(own_stack.settings, timeout=11))
        stop = asyncio.Event()
        task = asyncio.create_task(one.run(stop))
        await until(lambda: alarm.waits)
        stop.set()
        assert (await asyncio.wait({task}, timeout=5))[0], "it still runs"
