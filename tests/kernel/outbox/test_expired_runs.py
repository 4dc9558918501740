"""Runs whose worker died: the relay publishes each again as soon as its lease has ended."""

import asyncio
from uuid import UUID

import pytest

from kernel.jobs import seconds
from kernel.jobs.runs import Runs
from kernel.jobs.table import Message
from kernel.outbox import recovery
from kernel.outbox.outbox import Outbox
from kit.outbox.relays import messages, published, running_relay, taken_away, turned
from kit.runs import EXPIRE, begin, record

ALIVE = "update jobs.runs set held_until = now() + interval '15 s'"
LOOK = {"batch": 100, "lease_seconds": 10}


@pytest.fixture
async def db(own_stack):
    async with own_stack.as_service() as db:
        yield db


async def waiting(own, number):
    """Put runs that wait in the database, and return their messages."""
    rows = await own.sql.fetch(
        "insert into jobs.runs (id, job, event_id, item) "
        "select gen_random_uuid(), 'outbox.tell', 1, n from generate_series(1, $1) n returning *",
        number,
    )
    return [Message(UUID(str(row["id"])), row["job"], row["event_id"], row["item"]) for row in rows]


async def running(own, db, number=1):
    """Let a worker begin runs."""
    found = await waiting(own, number)
    for message in found:
        assert (await begin(Runs(db), message)).outcome == "run"
    return found


@pytest.fixture
def looks(monkeypatch):
    """Lets each turn of a relay look for such runs."""
    monkeypatch.setattr(recovery, "EXPIRED_EVERY_SECONDS", 0)


@pytest.mark.usefixtures("looks")
async def test_a_run_is_published_once_for_each_lost_lease_while_others_wait(own_stack, db):
    (message,) = await running(own_stack, db)
    own_stack.broker.client.lpush("default", *(["a message"] * 3))  # a queue that is not empty
    async with running_relay(own_stack) as one:
        await one.turn()
        assert own_stack.broker.client.llen("default") == 3  # its worker lives
        await own_stack.sql.execute(EXPIRE)
        for _ in range(3):
            await one.turn()
        assert own_stack.broker.client.llen("default") == 4
        assert str(message.run_id) in own_stack.broker.client.lindex("default", -1)  # the next one
        own_stack.broker.client.delete("default")
        begun = await begin(Runs(db), message, "another")
        assert (begun.outcome, begun.attempt) == ("run", 2)
        await own_stack.sql.execute(EXPIRE)
        await one.turn()
        assert messages(own_stack) == [("outbox.tell", message.run_id)]


@pytest.mark.usefixtures("looks")
async def test_a_slow_worker_keeps_its_run_and_ends_it(own_stack, db):
    (message,) = await running(own_stack, db)
    await own_stack.sql.execute(EXPIRE)
    async with running_relay(own_stack) as one:
        await one.turn()
    assert await Runs(db).extend(message.run_id, "me")
    assert (await begin(Runs(db), message, "another")).outcome == "busy"
    assert await Runs(db).finish(message.run_id, "me", "succeeded", error=None, duration_ms=1)
    assert (await begin(Runs(db), message, "another")).outcome == "done"


async def test_relays_at_the_same_time_claim_each_run_once(own_stack, db):
    expected = await running(own_stack, db, 40)
    await own_stack.sql.execute(EXPIRE)
    outbox = Outbox(db)
    claims = [outbox.claim_expired(batch=7, lease_seconds=10) for _ in range(10)]
    found = [message.run_id for batch in await asyncio.gather(*claims) for message in batch]
    assert sorted(found) == sorted(message.run_id for message in expected)


async def test_what_a_relay_claimed_before_it_died_is_claimed_by_the_next(own_stack, db):
    (message,) = await running(own_stack, db)
    await own_stack.sql.execute(EXPIRE)
    outbox = Outbox(db)
    assert await outbox.claim_expired(**LOOK) == [message]
    assert await outbox.claim_expired(**LOOK) == []
    await own_stack.sql.execute("update jobs.runs set relay_until = now()")
    assert await outbox.claim_expired(**LOOK) == [message]
    await own_stack.sql.execute("update jobs.runs set relay_until = now()")
    await own_stack.sql.execute(ALIVE)  # a worker has begun it meanwhile
    await outbox.settle_expired([message])
    assert (await record(own_stack, message))["held_until"] is not None


@pytest.mark.usefixtures("looks")
async def test_without_the_broker_they_stay_claimable(own_stack, db):
    (message,) = await running(own_stack, db)
    async with running_relay(own_stack) as one:
        async with taken_away(own_stack.broker, "refused"):
            await own_stack.sql.execute(EXPIRE)
            await one.turn()
        await own_stack.sql.execute("update jobs.runs set relay_until = now()")
        await turned(one, lambda: published(own_stack, message.run_id))


@pytest.mark.usefixtures("looks")
async def test_many_come_in_bounded_batches_without_a_pause(own_stack, db):
    found = await waiting(own_stack, 250)
    await own_stack.sql.execute(
        "update jobs.runs set state = 'running', attempts = 1, holder = 'x', held_until = now()"
    )
    async with running_relay(own_stack) as one:
        for turns in (1, 2, 3):
            await one.turn()
            assert len(messages(own_stack)) == min(250, turns * recovery.BATCH)
    assert {run for _, run in messages(own_stack)} == {message.run_id for message in found}


async def test_they_are_found_by_an_index(own_stack, db):
    await waiting(own_stack, 2000)
    (message,) = await running(own_stack, db)
    await own_stack.sql.execute(EXPIRE)
    await own_stack.sql.execute("analyze jobs.runs")
    read = """select seq_tup_read + idx_tup_fetch
              from pg_stat_xact_user_tables where relid = 'jobs.runs'::regclass"""
    async with own_stack.sql.transaction():
        before = await own_stack.sql.fetchval(read)
        rows = await own_stack.sql.fetch("select * from public.claim_expired_runs(100, 10)")
        assert [row["id"] for row in rows] == [message.run_id]
        assert await own_stack.sql.fetchval(read) - before < 20


async def test_a_run_that_waits_for_a_retry_is_not_lost(own_stack, db):
    (message,) = await running(own_stack, db)
    await Runs(db).finish(
        message.run_id, "me", "queued", error="x", duration_ms=1, retry_after=seconds(60)
    )
    assert await Outbox(db).lost(untouched_seconds=0, batch=10) == []
    await own_stack.sql.execute("update jobs.runs set touched_at = touched_at - interval '61 s'")
    assert await Outbox(db).lost(untouched_seconds=0, batch=10) == [message]
