"""The relay with unavailable servers, unreadable events and lost messages."""

import asyncio
import time
from functools import partial
from uuid import UUID, uuid4

import pytest

from kernel.jobs.job import QUEUES
from kernel.outbox import recovery, relay
from kernel.outbox.outbox import Outbox
from kernel.redis import RedisAway
from kernel.supabase.http import SupabaseUnavailable
from kit.outbox.relays import (
    messages,
    none_pending,
    pending,
    published,
    renamed,
    run_of,
    running_relay,
    tag_version,
    taken_away,
    turned,
)
from kit.waiting import until


@pytest.fixture
async def author(own_stack):
    author = await own_stack.user()
    await own_stack.forget()
    return author


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_without_the_cache_jobs_go_on_and_drops_follow(own_stack, a_relay, author, how):
    async with taken_away(own_stack.cache, how):
        thing = await own_stack.thing(author)
        await a_relay.turn()
        assert published(own_stack, run_of(thing)) == 1
        later = await own_stack.thing(author)
        await a_relay.turn()
        assert published(own_stack, run_of(later)) == 1
        assert {row["dropped_at"] for row in await own_stack.events()} == {None}
    await turned(a_relay, lambda: tag_version(own_stack, f"kept-thing:{later}"))
    assert tag_version(own_stack, f"kept-thing:{thing}")
    assert await pending(own_stack) == []
    assert published(own_stack, run_of(thing)) == 1


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_c7_without_the_broker_drops_go_on_and_jobs_follow(own_stack, a_relay, author, how):
    async with taken_away(own_stack.broker, how):
        thing = await own_stack.thing(author)
        await a_relay.turn()
        assert tag_version(own_stack, f"kept-thing:{thing}")
        later = await own_stack.thing(author)
        await a_relay.turn()
        assert tag_version(own_stack, f"kept-thing:{later}")
        assert {row["published_at"] for row in await own_stack.events()} == {None}
    await turned(a_relay, lambda: none_pending(own_stack))
    # A silent broker may have accepted unacknowledged messages; they lead to the same run.
    assert {run for _, run in messages(own_stack)} == {run_of(thing), run_of(later)}


@pytest.mark.parametrize("part", ["broker", "cache"])
async def test_c7_a_relay_does_not_hurry_while_a_part_is_away(
    own_stack, a_relay, author, monkeypatch, part
):
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.05)
    await a_relay.turn()  # this turn looks for lost jobs, so that the next turns do not
    stop, started = asyncio.Event(), time.monotonic()
    async with taken_away(getattr(own_stack, part), "refused"):
        running = asyncio.create_task(a_relay.run(stop))
        for _ in range(5):
            thing = await own_stack.thing(author)
            await until(partial(half_done, own_stack, thing))
        await until(lambda: time.monotonic() - started > 0.5)
        stop.set()
        await running
    # One claim for each idle wait, and one more immediately after each that found work.
    assert 5 <= a_relay._outbox.claims <= (time.monotonic() - started) / 0.05 + 2 * 5 + 1


async def half_done(own, thing):
    return await own.sql.fetchval(
        "select count(*) = 2 from outbox.events where items @> $1 "
        "and (dropped_at is not null or published_at is not null)",
        [{"thing_id": thing}],
    )


async def answers(redis):
    try:
        return await redis.ask(("PING",))
    except RedisAway:
        return None


async def test_without_cache_and_broker_nothing_is_claimed(own_stack, a_relay, author, frozen_time):
    await own_stack.thing(author)
    async with taken_away(own_stack.cache, "refused"), taken_away(own_stack.broker, "refused"):
        await a_relay.turn()
        for _ in range(10):
            assert not await a_relay.turn()
        assert a_relay._outbox.claims == 1
    await until(lambda: answers(a_relay._drops._redis))
    frozen_time.tick(0.5)
    await a_relay.turn()
    assert await pending(own_stack) == []


async def test_without_the_database_a_turn_does_nothing_and_the_next_goes_on(
    own_stack, a_relay, author, frozen_time
):
    thing = await own_stack.thing(author)
    async with own_stack.away():
        for _ in range(10):
            assert not await a_relay.turn()
        assert a_relay._outbox.claims == 1

    def passed():
        frozen_time.tick(
            0.5
        )  # a gateway needs a moment to connect again: a call may fail once more
        return none_pending(own_stack)

    await turned(a_relay, passed)
    assert published(own_stack, run_of(thing)) == 1


@pytest.mark.parametrize("function", ["claim_events", "settle_events"])
async def test_a_database_that_refuses_a_call_does_not_end_the_relay(
    own_stack, a_relay, author, function
):
    await own_stack.thing(author)
    async with renamed(own_stack, function):
        assert not await a_relay.turn()
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await turned(a_relay, lambda: none_pending(own_stack))


@pytest.mark.parametrize(
    ("topic", "item", "reason"),
    [
        ("note_sent", {"note_id": 1}, "this relay does not know the topic"),
        ("thing_changed", {"thing_id": "not an id"}, "an item does not fit ThingChanged: 1 errors"),
        ("thing_published", {"thing_id": str(uuid4())}, "an item does not fit ThingPublished"),
        ("thing_changed", "not an object", "an item does not fit ThingChanged"),
        ("job_due", {"job": "later.tick", "slot": "2026-01-01T00:00:00Z"}, "does not know the job"),
    ],
)
async def test_an_event_that_is_not_understood_waits_and_holds_up_no_other(
    own_stack, a_relay, author, topic, item, reason
):
    sql = own_stack.sql
    await sql.execute("insert into outbox.topics values ('note_sent', '{}') on conflict do nothing")
    number = await own_stack.put(topic, item)
    thing = await own_stack.thing(author)
    await a_relay.turn()
    assert published(own_stack, run_of(thing)) == 1
    assert tag_version(own_stack, f"kept-thing:{thing}")
    (waiting,) = [row for row in await own_stack.events() if row["delivered_at"] is None]
    assert (waiting["id"], waiting["attempts"], waiting["claim"]) == (number, 1, None)
    assert waiting["published_at"] is None
    assert reason in waiting["error"]
    assert waiting["not_before"] > await sql.fetchval("select now()")
    assert not await a_relay.turn()  # it is not retried at once


async def test_an_event_of_a_newer_version_is_delivered_by_a_relay_that_knows_it(
    own_stack, a_relay, author
):
    thing = await own_stack.thing(author, published=False)
    a_relay._events = {}
    await a_relay.turn()
    assert await pending(own_stack) == ["thing_changed"]
    await own_stack.sql.execute("update outbox.events set not_before = now()")
    async with running_relay(own_stack) as newer:
        await newer.turn()
    assert await pending(own_stack) == []
    assert tag_version(own_stack, f"kept-thing:{thing}")


async def test_fields_that_this_version_does_not_know_are_ignored(own_stack, a_relay):
    thing = uuid4()
    await own_stack.put("thing_changed", {"thing_id": thing, "later": 1})
    await a_relay.turn()
    assert tag_version(own_stack, f"kept-thing:{thing}")


class StuckOutbox(Outbox):
    """The outbox of a relay that dies after publishing and before settling."""

    reached = asyncio.Event()

    async def settle(self, events):
        self.reached.set()
        await asyncio.Event().wait()


async def test_c11_a_relay_that_dies_before_it_settles_leaves_the_event_to_another(
    own_stack, a_relay, author
):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, outbox=StuckOutbox) as first:
        turn = asyncio.create_task(first.turn())
        await StuckOutbox.reached.wait()
        turn.cancel()
        await asyncio.wait([turn])
    assert published(own_stack, run_of(thing)) == 1
    await a_relay.turn()
    assert len(await pending(own_stack)) == 2  # still leased to the dead relay
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await a_relay.turn()
    assert await pending(own_stack) == []
    assert published(own_stack, run_of(thing)) == 2
    rows = await own_stack.sql.fetch("select id from jobs.runs where job = 'outbox.tell'")
    assert [UUID(str(row["id"])) for row in rows] == [run_of(thing)]


async def test_a_relay_that_is_stopped_settles_what_it_has_begun(own_stack, a_relay, author):
    await own_stack.thing(author)
    stop = asyncio.Event()
    stop.set()
    running = asyncio.create_task(a_relay.run(stop))
    await running
    assert len(await pending(own_stack)) == 2  # it was stopped before it began
    stop.clear()
    running = asyncio.create_task(a_relay.run(stop))
    await until(lambda: a_relay._outbox.claims)
    stop.set()
    await running
    assert {row["claim"] for row in await own_stack.events()} == {None}
    assert await pending(own_stack) == []


@pytest.fixture
def asks_at_once(monkeypatch):
    """Lets a relay ask for the lengths of the queues at each turn."""
    monkeypatch.setattr(recovery, "BUSY_SECONDS", 0)


async def test_a_backlog_does_not_ask_at_each_turn_how_long_the_queues_are(own_stack, author):
    def asked():
        return own_stack.broker.client.info("commandstats").get("cmdstat_llen", {"calls": 0})

    await own_stack.thing(author)
    async with running_relay(own_stack) as one:
        await one.turn()
        before = asked()
        for _ in range(10):
            await one.turn()
        assert asked()["calls"] - before["calls"] <= 2 * len(QUEUES)


@pytest.mark.usefixtures("asks_at_once")
async def test_jobs_whose_messages_the_broker_lost_are_published_again(own_stack, author):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1  # a message still waits, so no run is lost
        own_stack.broker.client.flushall()
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1
        assert len(messages(own_stack, "cpu")) == 1


async def test_a_run_that_was_touched_of_late_is_not_lost(own_stack, author):
    await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=3600) as one:
        await one.turn()
        own_stack.broker.client.flushall()
        await one.turn()
        assert messages(own_stack) == []


@pytest.mark.usefixtures("asks_at_once")
async def test_while_messages_wait_no_run_counts_as_lost(own_stack, author):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        own_stack.broker.client.delete("default")  # "cpu" still has a message
        await one.turn()
        assert published(own_stack, run_of(thing)) == 0
        own_stack.broker.client.delete("cpu")
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1


async def test_runs_that_have_ended_are_not_lost(own_stack, author):
    await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        own_stack.broker.client.flushall()
        await own_stack.sql.execute("update jobs.runs set finished_at = now(), state = 'succeeded'")
        await one.turn()
        assert messages(own_stack) == []


async def test_many_lost_jobs_are_published_as_fast_as_they_are_taken(own_stack):
    await own_stack.sql.execute(
        "insert into jobs.runs (id, job, event_id, item) "
        "select gen_random_uuid(), 'outbox.tell', 1, n from generate_series(1, 250) n"
    )
    taken: set[UUID] = set()

    def all_taken():
        taken.update(run for _, run in messages(own_stack))
        own_stack.broker.client.delete("default")  # as a worker would
        return len(taken) == 250

    async with running_relay(own_stack, lost_after=60) as one:
        await own_stack.sql.execute("update jobs.runs set touched_at = now() - interval '61 s'")
        async with asyncio.timeout(5):
            await turned(one, all_taken)


async def test_c11_an_event_whose_claim_was_answered_to_nobody_does_not_wait_for_the_lease(
    own_stack, author
):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, outbox=DeafOutbox) as one, running_relay(own_stack) as two:
        assert not await one.turn()
        assert len(await pending(own_stack)) == 2
        await two.turn()  # leased to the first
        assert published(own_stack, run_of(thing)) == 0
        await turned(one, lambda: none_pending(own_stack))
    assert published(own_stack, run_of(thing)) == 2  # before and after the lost settlement
    rows = await own_stack.sql.fetch("select id from jobs.runs where job = 'outbox.tell'")
    assert [UUID(str(row["id"])) for row in rows] == [run_of(thing)]


class DeafOutbox(Outbox):
    """The outbox; the answer to the first claim gets lost, and the first settlement on its way."""

    def __init__(self, db):
        super().__init__(db)
        self._lost = ["claim", "settle"]

    async def claim(self, **options):
        found = await super().claim(**options)
        self._lose("claim")
        return found

    async def settle(self, events):
        if "settle" in self._lost:
            self._lose("settle")
        await super().settle(events)

    def _lose(self, what):
        if what in self._lost:
            self._lost.remove(what)
            raise SupabaseUnavailable
