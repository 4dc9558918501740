"""Runs of jobs: their records in the database."""

import asyncio
from uuid import uuid4

import pytest
from svcs import Container

from kernel.core.metrics import SUPABASE_CALLS
from kernel.jobs import runs
from kernel.outbox.outbox import Outbox
from kit.runs import EXPIRE, another_connection, begin, record, state, told
from kit.waiting import until


def one_runs_it(begun):
    # A waiting caller started earlier than the winner: its delay is a little more than 15 s.
    assert all(0 < one.seconds < 16 for one in begun if one.outcome == "busy")
    return sorted(one.outcome for one in begun) == ["busy"] * 19 + ["run"]


async def test_of_20_workers_that_begin_a_new_run_at_the_same_time_one_runs_it(
    own_database, twenty
):
    message = await told(own_database)
    assert one_runs_it(
        await asyncio.gather(*(begin(one, message, f"h{n}") for n, one in enumerate(twenty)))
    )
    assert await state(own_database, message) == ("running", 1, None)


async def test_of_20_workers_that_begin_a_waiting_run_at_the_same_time_one_runs_it(
    own_database, twenty
):
    message = await told(own_database)
    await own_database.sql.execute(
        "insert into jobs.runs (id, job, event_id, item) values ($1, $2, $3, 0)",
        message.run_id,
        message.job,
        message.event_id,
    )
    async with another_connection(own_database) as other:
        async with other.transaction():
            await other.execute("select from jobs.runs for update")
            beginning = [
                asyncio.create_task(begin(one, message, f"h{n}")) for n, one in enumerate(twenty)
            ]
            await until(lambda: several_wait(own_database))
        assert one_runs_it(await asyncio.gather(*beginning))
    assert await state(own_database, message) == ("running", 1, None)


async def test_runs_that_begin_and_end_at_the_same_time_share_calls(own_stack, services):
    found = Container(services).get(runs.Runs)
    messages = [await told(own_stack) for _ in range(30)]
    before = calls_of_functions()
    begun = await asyncio.gather(*(begin(found, one, str(one.run_id)) for one in messages))
    assert [one.outcome for one in begun] == ["run"] * 30
    ended = await asyncio.gather(
        *(
            found.finish(one.run_id, str(one.run_id), "succeeded", error=None, duration_ms=number)
            for number, one in enumerate(messages)
        )
    )
    assert ended == [True] * 30
    assert calls_of_functions() - before == 2
    for number, one in enumerate(messages):
        assert (await record(own_stack, one))["duration_ms"] == number


def calls_of_functions():
    return sum(
        sample.value
        for metric in SUPABASE_CALLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels["kind"] == "function"
    )


async def several_wait(own):
    return await own.sql.fetchval(
        "select count(*) >= 5 from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )


async def test_beginning_a_run_returns_its_event_and_attempt(own_database, found):
    message = await told(own_database, fields={"thing_id": "x"})
    begun = await begin(found, message)
    assert begun == runs.Begun(
        outcome="run",
        attempt=1,
        topic="thing_changed",
        fields={"thing_id": "x"},
        request_id="request-1",
    )


@pytest.mark.parametrize(("end", "outcome"), [("succeeded", "done"), ("failed", "done")])
async def test_a_run_that_has_ended_is_not_begun_again(own_database, found, end, outcome):
    message = await told(own_database)
    await begin(found, message)
    assert await found.finish(message.run_id, "me", end, error=None, duration_ms=7)
    before = await record(own_database, message)
    assert (before["state"], before["duration_ms"], before["holder"]) == (end, 7, None)
    assert before["finished_at"] is not None
    assert (await begin(found, message)).outcome == outcome
    assert await record(own_database, message) == before


async def test_attempts_are_counted_until_there_are_no_more(own_database, found):
    message = await told(own_database)
    for attempt in (1, 2, 3):
        assert (await begin(found, message, most=3)).attempt == attempt
        assert await found.finish(message.run_id, "me", "queued", error="no", duration_ms=1)
        assert await state(own_database, message) == ("queued", attempt, "no")
    assert (await begin(found, message, most=3)).outcome == "exhausted"
    assert await state(own_database, message) == ("failed", 3, "no")
    assert (await begin(found, message, most=3)).outcome == "done"


async def test_a_run_whose_holder_is_gone_is_taken_over_when_its_lease_ran_out(own_database, found):
    message = await told(own_database)
    for attempt in (1, 2):
        begun = await begin(found, message, f"h{attempt}", most=2)
        assert (begun.outcome, begun.attempt) == ("run", attempt)
        assert (await begin(found, message, "other", most=2)).outcome == "busy"
        await own_database.sql.execute(EXPIRE)
    assert (await begin(found, message, most=2)).outcome == "exhausted"
    assert await state(own_database, message) == (
        "failed",
        2,
        "lost 2 times: its process was killed",
    )


async def test_only_its_holder_ends_or_extends_a_run(own_database, found):
    message = await told(own_database)
    await begin(found, message, "first")
    await own_database.sql.execute(EXPIRE)
    await begin(found, message, "second")
    before = await record(own_database, message)
    for one in (message.run_id, uuid4()):
        assert not await found.finish(one, "first", "succeeded", error=None, duration_ms=1)
        assert not await found.extend(one, "first")
    assert await record(own_database, message) == before
    assert await found.extend(message.run_id, "second")
    after = await record(own_database, message)
    assert after["held_until"] > before["held_until"]
    assert await found.finish(message.run_id, "second", "succeeded", error=None, duration_ms=1)
    assert not await found.extend(message.run_id, "second")
    assert not await found.finish(message.run_id, "second", "failed", error="x", duration_ms=1)


@pytest.mark.parametrize(("counts", "attempts"), [(True, 1), (False, 0)])
async def test_what_a_lost_process_held_is_free_at_once(own_database, found, counts, attempts):
    mine, theirs, ended = [await told(own_database) for _ in range(3)]
    await begin(found, mine, "host:12:abc")
    await begin(found, theirs, "host:123:abc")
    await begin(found, ended, "host:12:def")
    await found.finish(ended.run_id, "host:12:def", "succeeded", error=None, duration_ms=1)
    assert await found.release("host:12:", counts=counts) == 1
    assert await state(own_database, mine) == ("queued", attempts, None)
    assert await state(own_database, theirs) == ("running", 1, None)
    assert await state(own_database, ended) == ("succeeded", 1, None)
    begun = await begin(found, mine, "host:13:abc")
    assert (begun.outcome, begun.attempt) == ("run", attempts + 1)


@pytest.mark.parametrize(("end", "error"), [("failed", "no such job"), ("succeeded", None)])
async def test_c13_a_run_that_was_not_begun_is_closed_with_all_that_is_known_of_it(
    own_database, found, end, error
):
    message = await told(own_database, "later.job")  # the relay has not recorded it yet
    await found.close(message, end, error=error)
    row = await record(own_database, message)
    assert (row["state"], row["error"], row["attempts"]) == (end, error, 0)
    assert (row["job"], row["event_id"], row["item"]) == ("later.job", message.event_id, 0)
    assert row["request_id"] == "request-1"
    assert row["finished_at"] is not None
    await found.close(message, "failed", error="again")
    assert await record(own_database, message) == row


async def test_c13_a_run_that_has_ended_or_is_performed_elsewhere_is_not_closed(
    own_database, found
):
    """An older worker may receive a message whose run a newer worker performs or has performed."""
    message = await told(own_database)
    await begin(found, message)
    before = await record(own_database, message)
    await found.close(message, "failed", error="no such job")
    assert await record(own_database, message) == before
    assert await found.finish(message.run_id, "me", "succeeded", error=None, duration_ms=1)
    await found.close(message, "failed", error="no such job")
    assert await state(own_database, message) == ("succeeded", 1, None)


async def test_a_run_whose_lease_ran_out_is_closed(own_database, found):
    message = await told(own_database)
    await begin(found, message)
    await own_database.sql.execute(EXPIRE)
    await found.close(message, "succeeded")
    row = await record(own_database, message)
    assert (row["state"], row["holder"], row["held_until"]) == ("succeeded", None, None)
    assert (await begin(found, message)).outcome == "done"


async def test_untouched_runs_are_reported_as_lost_once_in_that_time(own_database, found):
    async with own_database.as_service() as db:
        outbox = Outbox(db)
        waiting, held, ended, fresh = [await told(own_database) for _ in range(4)]
        for message in (waiting, held, ended):
            await begin(found, message)
        await found.finish(waiting.run_id, "me", "queued", error=None, duration_ms=1)
        await found.finish(ended.run_id, "me", "failed", error="x", duration_ms=1)
        await own_database.sql.execute("update jobs.runs set touched_at = now() - interval '61 s'")
        await begin(found, fresh)
        await own_database.sql.execute(
            "update jobs.runs set held_until = now() where id = $1", fresh.run_id
        )
        assert await outbox.lost(untouched_seconds=60, batch=10) == [waiting]
        assert await outbox.lost(untouched_seconds=60, batch=10) == []
        await own_database.sql.execute(EXPIRE + " where held_until is not null")
        assert await outbox.lost(untouched_seconds=60, batch=10) == [held]


async def test_no_lost_run_is_returned_to_two_relays(own_database):
    async with own_database.as_service() as db:
        outbox = Outbox(db)
        await own_database.sql.execute(
            "insert into jobs.runs (id, job, event_id, item, touched_at) select "
            "gen_random_uuid(), 'a.b', 1, 0, now() - interval '61 s' from generate_series(1, 50)"
        )
        lost = await asyncio.gather(
            *(outbox.lost(untouched_seconds=60, batch=7) for _ in range(12))
        )
    told = [message.run_id for some in lost for message in some]
    assert len(told) == len(set(told)) == 50
