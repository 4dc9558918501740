"""Dead letters in the database: when there is one, what it says, and what ends it."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest

from kernel.jobs import Temporary, seconds
from kernel.jobs.runner import Runner
from kernel.jobs.runs import Runs
from kernel.jobs.unreadable import DEAD_LETTERS, LONGEST, entry
from kernel.outbox import recovery
from kit.dead_letters import failed_run, letter_of
from kit.outbox.relays import running_relay, turned
from kit.runs import Acting, another_connection, at_once, begin, record, state, told
from kit.waiting import until

REPLAY = "select public.replay_dead_letter($1)"
DISCARD = "select public.discard_dead_letter($1)"
DUE = "select id from public.due_replays(10)"
COUNT = "select count(*) from jobs.dead_letters"


async def test_c8_a_run_that_fails_for_good_is_a_dead_letter_that_says_all(own_stack, performs):
    acting = Acting(RuntimeError("out of paper"), retries=1, retry_every=seconds(0.1))
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is not None
    assert await letter_of(own_stack.sql, message.run_id) is None
    assert await performs(acting.job, message) is None
    found = await letter_of(own_stack.sql, message.run_id)
    assert found["job"] == acting.job.name
    assert found["topic"] == "thing_changed"
    assert found["arguments"].keys() == {"thing_id"}
    assert found["error"] == "RuntimeError: out of paper"
    assert (found["attempts"], found["request_id"]) == (2, "request-1")
    assert found["first_at"] < found["last_at"]
    assert (found["state"], found["settled_at"]) == ("waiting", None)


async def test_c12_a_replayed_one_runs_once_and_is_marked(own_stack, performs):
    acting = Acting(RuntimeError("out of paper"), retries=0)
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    acting.error = None
    assert await own_stack.sql.fetchval(REPLAY, message.run_id) == "replayed"
    assert (await letter_of(own_stack.sql, message.run_id))["state"] == "replayed"
    assert [row["id"] for row in await own_stack.sql.fetch(DUE)] == [message.run_id]
    assert await own_stack.sql.fetch(DUE) == []
    for _ in range(2):
        await performs(acting.job, message)
    assert await state(own_stack, message) == ("succeeded", 1, None)
    assert len(acting.called) == 2
    assert await own_stack.sql.fetchval(REPLAY, message.run_id) == "settled"
    assert await own_stack.sql.fetch(DUE) == []


async def test_c12_of_replays_at_the_same_time_one_does_it(own_stack):
    letter = await failed_run(own_stack.sql)

    async def replay():
        async with another_connection(own_stack) as other:
            return await other.fetchval(REPLAY, letter)

    found = await asyncio.gather(*(replay() for _ in range(10)))
    assert sorted(found) == ["replayed"] + ["settled"] * 9
    assert len(await own_stack.sql.fetch(DUE)) == 1


async def test_one_that_fails_again_waits_again(own_stack, performs):
    acting = Acting(RuntimeError("out of paper"), retries=0)
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    await own_stack.sql.fetchval(REPLAY, message.run_id)
    await own_stack.sql.fetch(DUE)
    acting.error = RuntimeError("out of ink")
    await performs(acting.job, message)
    found = await letter_of(own_stack.sql, message.run_id)
    assert (found["state"], found["settled_at"]) == ("waiting", None)
    assert found["error"] == "RuntimeError: out of ink"
    assert await own_stack.sql.fetchval(COUNT) == 1


async def test_c13_an_unknown_job_is_one_and_waits_while_the_database_is_away(own_stack, services):
    message = await told(own_stack, "later.job")
    one = Runner(services, holder="host:1:", main_thread=at_once)
    async with own_stack.away():
        assert await one.fail_unknown(message) == timedelta(seconds=10)  # the message comes again

    async def recorded():
        return await one.fail_unknown(message) is None

    await until(recorded)
    found = await letter_of(own_stack.sql, message.run_id)
    assert (found["job"], found["error"]) == ("later.job", "this worker does not know the job")


async def test_one_whose_cause_passes_by_itself_is_replayed_by_itself(own_stack, performs):
    acting = Acting(Temporary("away"), retries=0)
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    assert (await letter_of(own_stack.sql, message.run_id))["state"] == "waiting"
    await own_stack.sql.execute("update jobs.runs set replay_at = now()")
    await own_stack.sql.fetch(DUE)
    assert (await letter_of(own_stack.sql, message.run_id))["state"] == "replayed"


async def test_a_discarded_one_is_neither_replayed_by_itself_nor_by_anybody(own_stack):
    letter = await failed_run(own_stack.sql)
    await own_stack.sql.execute("update jobs.runs set replay_at = now()")
    assert await own_stack.sql.fetchval(DISCARD, letter) == "discarded"
    assert await own_stack.sql.fetch(DUE) == []
    assert await own_stack.sql.fetchval(REPLAY, letter) == "settled"
    assert await own_stack.sql.fetchval(DISCARD, letter) == "settled"
    assert (await letter_of(own_stack.sql, letter))["settled_at"] is not None


async def test_a_replayed_one_cannot_be_discarded_and_runs(own_stack):
    letter = await failed_run(own_stack.sql)
    assert await own_stack.sql.fetchval(REPLAY, letter) == "replayed"
    assert await own_stack.sql.fetchval(DISCARD, letter) == "settled"
    assert [row["id"] for row in await own_stack.sql.fetch(DUE)] == [letter]


async def test_what_cannot_be_replayed_says_why_and_stays(own_stack):
    assert await own_stack.sql.fetchval(REPLAY, uuid4()) == "unknown"
    assert await own_stack.sql.fetchval(DISCARD, uuid4()) == "unknown"
    letter = await failed_run(own_stack.sql)
    await own_stack.forget()  # as if its event were archived
    assert await own_stack.sql.fetchval(REPLAY, letter) == "gone"
    assert (await letter_of(own_stack.sql, letter))["state"] == "waiting"


async def test_settled_ones_are_archived_after_90_days_and_waiting_ones_are_kept(own_stack):
    old, young, waiting = [await failed_run(own_stack.sql) for _ in range(3)]
    for letter in (old, young):
        await own_stack.sql.fetchval(DISCARD, letter)
    update = "update jobs.dead_letters set settled_at = now() - interval '91 days' where id = $1"
    await own_stack.sql.execute(update, old)
    apply = "select public.apply_retention('dead_letters', 100, false)"
    assert await own_stack.sql.fetchval(apply) == 1
    query = "select content ->> 'id' from archive.dead_letters where content ->> 'id' = $1"
    assert await own_stack.sql.fetchval(query, str(old)) == str(old)
    rows = await own_stack.sql.fetch("select id from jobs.dead_letters")
    assert {row["id"] for row in rows} == {young, waiting}


async def test_what_no_worker_can_read_is_moved_by_the_relay(own_stack, monkeypatch):
    monkeypatch.setattr(recovery, "UNREADABLE_EVERY_SECONDS", 0)
    client = own_stack.broker.client
    client.lpush(DEAD_LETTERS, *(entry("cpu", b"\xff poison %d" % n) for n in range(12)))
    client.lpush(DEAD_LETTERS, "as an older worker kept it")
    async with running_relay(own_stack) as one:
        await turned(one, lambda: not client.llen(DEAD_LETTERS))
    rows = await own_stack.sql.fetch("select * from jobs.dead_letters order by message")
    assert len(rows) == 13
    assert rows[0]["message"] == b"as an older worker kept it"
    assert rows[1]["message"] == b"\xff poison 0"
    assert rows[1]["error"] == "a message of the queue cpu cannot be read"
    assert await own_stack.sql.fetchval(REPLAY, rows[1]["id"]) == "unreadable"
    assert await own_stack.sql.fetchval(DISCARD, rows[1]["id"]) == "discarded"


@pytest.mark.parametrize(
    "change",
    [
        {"queue": "\x00"},
        {"queue": "\ud800"},
        {"at": "2026-12-01T00:00:00+20:00"},
        {"at": "0001-01-01T00:00:00+20:00"},
        {"id": 5},
        {"id": "no id"},
        {"message": "no base64"},
        {"message": "QUJD" * 10_000},
        {"more": [[[]]]},
        {"message": None},
    ],
    ids=lambda change: repr(change)[:40],
)
async def test_an_entry_that_we_did_not_write_does_not_stop_the_relay(
    own_stack, monkeypatch, change
):
    monkeypatch.setattr(recovery, "UNREADABLE_EVERY_SECONDS", 0)
    client = own_stack.broker.client
    client.lpush(DEAD_LETTERS, json.dumps(json.loads(entry("cpu", b"poison")) | change))
    client.lpush(DEAD_LETTERS, "[" * 100_000)
    async with running_relay(own_stack) as one:
        await one.turn()
    assert client.llen(DEAD_LETTERS) == 0
    rows = await own_stack.sql.fetch("select length(message) as bytes from jobs.dead_letters")
    assert [row["bytes"] <= LONGEST for row in rows] == [True, True]


async def test_while_the_database_is_away_it_waits_on_the_broker(own_stack, monkeypatch):
    monkeypatch.setattr(recovery, "UNREADABLE_EVERY_SECONDS", 0)
    client = own_stack.broker.client
    client.lpush(DEAD_LETTERS, entry("default", b"poison"))
    async with running_relay(own_stack) as one:
        async with own_stack.away():
            await one.turn()
            assert client.llen(DEAD_LETTERS) == 1
        await turned(one, lambda: not client.llen(DEAD_LETTERS))
    assert await own_stack.sql.fetchval(COUNT) == 1


async def test_two_relays_store_each_once(own_stack):
    kept = entry("default", b"poison")
    content = json.loads(kept)
    query = "select public.keep_unreadable($1)"
    assert await own_stack.sql.fetchval(query, [content]) == 1
    assert await own_stack.sql.fetchval(query, [content]) == 0


async def test_dead_letters_that_wait_are_counted(own_stack):
    _, other = [await failed_run(own_stack.sql) for _ in range(2)]
    await own_stack.sql.fetchval(
        "select public.keep_unreadable($1)", [json.loads(entry("a", b"x"))]
    )
    await own_stack.sql.fetchval(DISCARD, other)
    found = await own_stack.sql.fetchval("select public.operations()")
    assert found["dead_letters"] == {"run": 1, "message": 1}


@pytest.mark.parametrize("end", ["failed", "exhausted"])
async def test_a_dead_letter_is_one_line_in_the_log(own_stack, performs, caplog, end):
    acting = Acting(RuntimeError("out of paper"), retries=0)
    message = await told(own_stack, acting.job)
    if end == "exhausted":
        async with own_stack.as_service() as db:
            await begin(Runs(db), message)
            await own_stack.sql.execute("update jobs.runs set held_until = now()")
    await performs(acting.job, message)
    lines = [one for one in caplog.records if one.message == "dead letter"]
    assert [one.dead_letter for one in lines] == [str(message.run_id)]
    assert (await record(own_stack, message))["state"] == "failed"
