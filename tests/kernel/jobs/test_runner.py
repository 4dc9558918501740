"""Runs of jobs: their records in the database, and the runner that performs them."""

import asyncio
import contextlib
import io
import logging
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import svcs
from celery.exceptions import SoftTimeLimitExceeded

from kernel.boot.services import register_services
from kernel.config.settings import Settings
from kernel.jobs import Job, Permanent, job, runner, runs, seconds
from kernel.jobs.done import DoneMarkers
from kernel.jobs.runner import Runner
from kernel.jobs.runs import Run, Runs
from kernel.jobs.table import Message
from kernel.observe.logs import REDACTED, LogFormatter
from kernel.outbox.outbox import Outbox
from kernel.supabase import AsService
from kernel.worker.process import WorkerProcess, holder_prefix
from kit.slices.shared.things import ThingChanged
from kit.waiting import until

log = logging.getLogger(__name__)

EXPIRE = "update jobs.runs set held_until = now()"
PUT = """select set_config('request.headers', '{"x-request-id": "request-1"}', false)"""
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


async def told(own, one: Job | str = "a.b", fields: dict[str, object] | None = None) -> Message:
    """Put an event for a job; return the message about it, as the relay would send it."""
    event = ThingChanged(thing_id=uuid4())
    topic = one.on.topic if isinstance(one, Job) else event.topic
    await own.sql.execute(PUT)
    number = await own.put(topic, event.model_dump() if fields is None else fields)
    await own.sql.execute("select set_config('request.headers', '', false)")
    run_id = one.run_id(event, number, 0) if isinstance(one, Job) else uuid4()
    return Message(run_id, one.name if isinstance(one, Job) else one, number, 0)


async def record(own, message):
    return await own.sql.fetchrow("select * from jobs.runs where id = $1", message.run_id)


async def state(own, message):
    row = await record(own, message)
    return row["state"], row["attempts"], row["error"]


# Records -----------------------------------------------------------------------------------------


@pytest.fixture
async def found(own_database):
    """The records of runs, as a worker uses them."""
    async with own_database.as_service() as db:
        yield Runs(db)


async def begin(found, message, holder="me", most=4):
    return await found.begin(message, holder=holder, max_attempts=most)


def one_runs_it(begun):
    # Who had to wait for the others began before the one that holds it now: a little more than 15.
    assert all(0 < one.seconds < 16 for one in begun if one.outcome == "busy")
    return sorted(one.outcome for one in begun) == ["busy"] * 19 + ["run"]


async def test_of_20_who_begin_a_new_run_at_the_same_time_one_runs_it(own_database, found):
    message = await told(own_database)
    assert one_runs_it(
        await asyncio.gather(*(begin(found, message, f"h{number}") for number in range(20)))
    )
    assert await state(own_database, message) == ("running", 1, None)


async def test_of_20_who_begin_a_waiting_run_at_the_same_time_one_runs_it(own_database, found):
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
                asyncio.create_task(begin(found, message, f"h{number}")) for number in range(20)
            ]
            await until(lambda: several_wait(own_database))
        assert one_runs_it(await asyncio.gather(*beginning))
    assert await state(own_database, message) == ("running", 1, None)


async def several_wait(own):
    return await own.sql.fetchval(
        "select count(*) >= 5 from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )


@contextlib.asynccontextmanager
async def another_connection(own):
    connection = await asyncpg.connect(own.url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_who_begins_a_run_is_told_its_event_and_attempt(own_database, found):
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
    message = await told(own_database, "later.job")  # the relay has not written it down yet
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
    """An older worker may get a message again that a newer one performs or has performed."""
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


async def test_runs_that_nobody_touched_are_lost_once_in_that_time(own_database, found):
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


async def test_no_lost_run_is_told_to_two_relays(own_database):
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


# Performing --------------------------------------------------------------------------------------


def some_job(function: Callable[..., Any] | None = None, **options: Any) -> Job:
    async def act(thing_id: UUID) -> None:
        pass

    return job(on=ThingChanged, **options)(function or act)


async def at_once(function):
    return function()


@pytest.fixture
async def services(own_stack):
    async with own_stack.services() as services:
        yield services


@pytest.fixture
def performs(services):
    """Performs messages as a process of a worker does; each leaves no request id behind."""
    one = Runner(services, holder="host:1:", main_thread=at_once)

    async def perform(what: Job, message: Message) -> timedelta | None:
        return await asyncio.create_task(one.perform(what, message))

    return perform


async def marked(services, message):
    return await svcs.Container(services).get(DoneMarkers).has(message.run_id)


class Acting:
    """A job that notes what it was called with, and ends as it is told to."""

    def __init__(self, error: BaseException | None = None, **options: Any) -> None:
        self.called: list[Any] = []
        self.error = error

        async def act(thing_id: UUID, run: Run) -> None:
            self.called.append((thing_id, run.attempt))
            if self.error is not None:
                raise self.error

        self.job = some_job(act, **options)


async def test_a_job_is_performed_once_however_often_its_message_comes(
    own_stack, services, performs
):
    acting = Acting()
    message = await told(own_stack, acting.job)
    for _ in range(3):
        assert await performs(acting.job, message) is None
    assert len(acting.called) == 1
    row = await record(own_stack, message)
    assert await state(own_stack, message) == ("succeeded", 1, None)
    assert (row["job"], row["request_id"]) == ("jobs.act", "request-1")
    assert (row["holder"], row["held_until"]) == (None, None)
    assert row["duration_ms"] >= 0
    assert await marked(services, message)


async def test_a_job_gets_fields_of_its_event_and_services(own_stack, performs):
    got: list[Any] = []

    async def act(db: AsService, thing_id: UUID, run: Run, settings: Settings) -> None:
        got.extend((db, thing_id, run, settings))

    one, thing = some_job(act, once_per="thing_id"), uuid4()
    message = await told(own_stack, one, {"thing_id": str(thing), "later": 1})
    assert await performs(one, message) is None
    assert isinstance(got[0], AsService)
    assert got[1] == thing
    assert got[2] == Run(
        id=message.run_id, job="jobs.act", slice="jobs", attempt=1, request_id="request-1"
    )
    assert got[3] == own_stack.settings


async def test_two_messages_at_the_same_time_are_one_effect(own_stack, performs):
    calls, free = [], asyncio.Event()

    async def act(thing_id: UUID) -> None:
        calls.append(thing_id)
        await free.wait()

    one = some_job(act)
    message = await told(own_stack, one)
    first = asyncio.create_task(performs(one, message))
    await until(lambda: calls)
    again = await performs(one, message)
    assert seconds(0.5) < again <= seconds(15.5)  # when the lease will have run out
    free.set()
    assert await first is None
    assert len(calls) == 1
    assert await performs(one, message) is None


async def test_c8_a_job_that_fails_is_tried_again_three_times_and_kept(
    own_stack, services, performs, caplog
):
    acting = Acting(RuntimeError("no luck"), backoff=seconds(4), backoff_cap=seconds(10))
    message = await told(own_stack, acting.job)
    for attempt, longest in ((1, 4), (2, 8), (3, 10)):
        delay = await performs(acting.job, message)
        assert delay is not None
        assert seconds(0) <= delay <= seconds(longest)
        assert await state(own_stack, message) == ("queued", attempt, "RuntimeError: no luck")
    assert await performs(acting.job, message) is None
    assert await state(own_stack, message) == ("failed", 4, "RuntimeError: no luck")
    row = await record(own_stack, message)
    assert row["queued_at"] < row["finished_at"]
    assert (row["job"], row["request_id"]) == ("jobs.act", "request-1")
    assert [attempt for _, attempt in acting.called] == [1, 2, 3, 4]
    assert await performs(acting.job, message) is None
    assert len(acting.called) == 4
    assert not await marked(services, message)
    levels = [one.levelname for one in caplog.records if one.name == "kernel.jobs.runner"]
    assert levels == ["WARNING"] * 3 + ["ERROR"]


async def test_a_job_that_fails_first_succeeds_later(own_stack, performs):
    acting = Acting(RuntimeError("not yet"), retry_every=seconds(60))
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) == seconds(60)
    acting.error = None
    assert await performs(acting.job, message) is None
    assert await state(own_stack, message) == ("succeeded", 2, None)


async def test_a_permanent_failure_is_not_tried_again(own_stack, performs):
    acting = Acting(Permanent("never"))
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is None
    assert await state(own_stack, message) == ("failed", 1, "Permanent: never")


async def test_a_job_that_takes_too_long_is_cut_off(own_stack, performs):
    cut_off = []

    async def act(thing_id: UUID) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.append(thing_id)

    one = some_job(act, timeout=seconds(0.05))
    message = await told(own_stack, one)
    assert await performs(one, message) is not None
    assert cut_off
    assert await state(own_stack, message) == ("queued", 1, "TimeoutError: ")


async def test_a_run_that_was_lost_too_often_is_kept_as_failed(own_stack, performs, caplog):
    acting = Acting(retries=1)
    message = await told(own_stack, acting.job)
    async with own_stack.as_service() as db:
        for _ in range(2):
            await begin(Runs(db), message)
            await own_stack.sql.execute(EXPIRE)
    assert await performs(acting.job, message) is None
    assert acting.called == []
    assert (await state(own_stack, message))[:2] == ("failed", 2)
    assert "A job was lost too often" in caplog.messages


@pytest.mark.parametrize(
    ("topic", "fields", "reason"),
    [
        (None, {}, "Permanent: there is no event thing_changed for this run"),
        ("user_changed", {"user_id": str(uuid4())}, "Permanent: there is no event thing_changed"),
        (
            "thing_changed",
            {"thing_id": "not an id"},
            "Permanent: the event does not fit ThingChanged",
        ),
        ("thing_changed", {}, "Permanent: the event does not fit ThingChanged"),
    ],
)
async def test_a_run_without_its_event_fails_for_good(own_stack, performs, topic, fields, reason):
    acting = Acting()
    number = await own_stack.put(topic, fields) if topic else 4711
    message = Message(uuid4(), acting.job.name, number, 0)
    assert await performs(acting.job, message) is None
    assert acting.called == []
    ended, _, error = await state(own_stack, message)
    assert ended == "failed"
    assert error.startswith(reason)


async def test_an_item_that_the_event_does_not_have_fails_for_good(own_stack, performs):
    acting = Acting()
    message = await told(own_stack, acting.job)
    beyond = Message(uuid4(), message.job, message.event_id, 1)
    assert await performs(acting.job, beyond) is None
    assert (await state(own_stack, beyond))[0] == "failed"


async def test_c13_the_runner_keeps_a_job_that_it_does_not_know(own_stack, services):
    message = await told(own_stack, "later.job")
    one = Runner(services, holder="host:1:", main_thread=at_once)
    async with own_stack.away():
        assert await one.fail_unknown(message) == seconds(10)
    await until(lambda: is_over(one.fail_unknown(message)))
    assert await state(own_stack, message) == ("failed", 0, "this worker does not know the job")


async def is_over(coroutine):
    return await coroutine is None


# A part that is away -----------------------------------------------------------------------------


async def test_while_the_database_is_away_no_attempt_is_begun(own_stack, performs):
    acting = Acting()
    message = await told(own_stack, acting.job)
    async with own_stack.away():
        assert await performs(acting.job, message) == seconds(10)
    await until(lambda: is_over(performs(acting.job, message)))
    assert len(acting.called) == 1
    assert await state(own_stack, message) == ("succeeded", 1, None)


@pytest.mark.parametrize("retries", [3, 0])
@pytest.mark.parametrize("fault", ["away", "refuses"])
async def test_what_has_happened_does_not_happen_again_if_it_was_not_recorded(
    own_stack, services, performs, monkeypatch, fault, retries
):
    monkeypatch.setattr(runner, "_WRITE_DOWN_AFTER", (0.0, 0.01))
    calls, faults = [], contextlib.AsyncExitStack()

    async def act(thing_id: UUID) -> None:
        calls.append(thing_id)
        await faults.enter_async_context(
            own_stack.away() if fault == "away" else renamed(own_stack, "finish_run")
        )

    one = some_job(act, retries=retries)
    message = await told(own_stack, one)
    async with faults:
        assert await performs(one, message) == seconds(10)
        assert await marked(services, message)
    assert (await state(own_stack, message))[0] == "running"
    await until(lambda: is_over(performs(one, message)))
    assert len(calls) == 1
    assert (await state(own_stack, message))[0] == "succeeded"


@pytest.mark.parametrize("function", ["begin_run", "close_run"])
async def test_a_database_that_refuses_a_message_has_it_come_again_later(
    own_stack, services, function
):
    """As with a worker that is newer than the schema: a message at once again would be a storm."""
    acting = Acting()
    message = await told(own_stack, acting.job)
    one = Runner(services, holder="host:1:", main_thread=at_once)
    async with renamed(own_stack, function):
        performed = (
            one.perform(acting.job, message)
            if function == "begin_run"
            else one.fail_unknown(message)
        )
        assert await asyncio.create_task(performed) == seconds(10)


@contextlib.asynccontextmanager
async def renamed(own, function):
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")


async def test_a_failure_that_could_not_be_recorded_is_tried_again(
    own_stack, performs, monkeypatch
):
    monkeypatch.setattr(runner, "_WRITE_DOWN_AFTER", (0.0,))
    faults, calls = contextlib.AsyncExitStack(), []

    async def act(thing_id: UUID) -> None:
        calls.append(thing_id)
        if len(calls) == 1:
            await faults.enter_async_context(own_stack.away())
            raise RuntimeError("no luck")

    one = some_job(act, retry_every=seconds(60))
    message = await told(own_stack, one)
    async with faults:
        assert await performs(one, message) == seconds(60)
    await own_stack.sql.execute(EXPIRE)
    await until(lambda: is_over(performs(one, message)))
    assert len(calls) == 2


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_c7_a_job_is_performed_while_the_broker_is_away(own_stack, performs, how):
    acting = Acting()
    message = await told(own_stack, acting.job)
    if how == "refused":
        own_stack.broker.kill()
    with own_stack.broker.frozen() if how == "silent" else contextlib.nullcontext():
        assert await performs(acting.job, message) is None
    if how == "refused":
        await own_stack.broker.start()
    assert len(acting.called) == 1
    assert await state(own_stack, message) == ("succeeded", 1, None)


async def test_a_lease_is_held_as_long_as_the_job_takes(own_stack, performs, monkeypatch):
    monkeypatch.setattr(runs, "LEASE", seconds(1))
    monkeypatch.setattr(runner, "HEARTBEAT", seconds(0.1))
    others: list[timedelta | None] = []

    async def act(thing_id: UUID) -> None:
        first = (await record(own_stack, message))["held_until"]
        await until(lambda: later_than(first))
        others.append(await performs(one, message))

    async def later_than(moment):
        return await own_stack.sql.fetchval("select now() > $1", moment)

    one = some_job(act)
    message = await told(own_stack, one)
    assert await performs(one, message) is None
    (again,) = others
    assert again is not None
    assert seconds(0) < again <= seconds(1.5)
    assert await state(own_stack, message) == ("succeeded", 1, None)


async def test_a_lease_that_was_lost_is_told(own_stack, performs, monkeypatch, caplog):
    monkeypatch.setattr(runner, "HEARTBEAT", seconds(0.02))

    async def act(thing_id: UUID) -> None:
        await own_stack.sql.execute("update jobs.runs set holder = 'somebody else'")
        await until(lambda: "A lease was lost" in caplog.messages)

    one = some_job(act)
    message = await told(own_stack, one)
    assert await performs(one, message) is None
    row = await record(own_stack, message)
    assert (row["state"], row["holder"]) == ("running", "somebody else")


async def test_a_heartbeat_outlives_a_database_that_is_away_for_a_moment(
    own_stack, performs, monkeypatch
):
    monkeypatch.setattr(runner, "HEARTBEAT", seconds(0.02))

    async def act(thing_id: UUID) -> None:
        async with own_stack.away():
            await until(lambda: failed_heartbeat)
        before = (await record(own_stack, message))["held_until"]
        await until(lambda: extended(before))

    async def extended(before):
        return (await record(own_stack, message))["held_until"] > before

    failed_heartbeat: list[bool] = []
    extend = Runs.extend

    async def noting(self, run_id, holder):
        try:
            return await extend(self, run_id, holder)
        except Exception:
            failed_heartbeat.append(True)
            raise

    monkeypatch.setattr(Runs, "extend", noting)
    one = some_job(act)
    message = await told(own_stack, one)
    assert await performs(one, message) is None
    assert await state(own_stack, message) == ("succeeded", 1, None)


# What is told of it ------------------------------------------------------------------------------


@pytest.fixture
def lines():
    """What is logged, as it would be printed."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(message)s %(levelname)s %(name)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: stream.getvalue().splitlines()
    root.removeHandler(handler)
    root.setLevel(level)


async def test_the_request_id_is_in_each_line_of_a_job_and_in_what_it_writes(
    own_stack, performs, lines
):
    async def act(thing_id: UUID, db: AsService) -> None:
        log.info("inside")
        await db.table("things").update({"title": "Changed"}).eq("id", str(thing)).execute()

    thing = await own_stack.thing(await own_stack.user())
    one = some_job(act)
    message = await told(own_stack, one)
    await performs(one, message)
    found = [line for line in lines() if '"inside"' in line or '"message": "job"' in line]
    assert len(found) == 2
    assert all('"request_id": "request-1"' in line for line in found)
    *_, event = await own_stack.events("thing_changed")
    assert event["items"] == [{"thing_id": str(thing)}]
    assert event["request_id"] == "request-1"


async def test_h9_secrets_are_neither_in_the_record_nor_in_the_log(own_stack, performs, lines):
    secret = f"redis://user:hidden@host:6379/0 {JWT} sb_secret_hidden"
    acting = Acting(RuntimeError(secret))
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    _, _, error = await state(own_stack, message)
    assert error.startswith("RuntimeError: redis://")
    assert REDACTED in error
    for text in (error, "\n".join(lines())):
        assert "hidden" not in text
        assert JWT not in text


async def test_an_error_is_cut_after_its_secrets_were_taken_out(own_stack, performs):
    padding = "x" * (500 - len("RuntimeError: ") - 20)
    acting = Acting(RuntimeError(f"{padding}{JWT} {1000 * 'y'}"))
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    _, _, error = await state(own_stack, message)
    assert len(error) == 500
    assert "eyJ" not in error


@pytest.mark.parametrize(
    "text",
    ["nul \0 inside", "caf\udce9.txt", "\N{PILE OF POO}", "\n\t"],
    ids=["nul", "half a character", "beyond the basic plane", "control characters"],
)
async def test_an_error_of_any_characters_is_recorded(own_stack, performs, caplog, text):
    # Not every text can be handed on by xdist, and what is logged would be part of the report.
    caplog.set_level(logging.CRITICAL, "kernel.jobs.runner")
    acting = Acting(RuntimeError(text), retries=0)
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is None
    ended, _, error = await state(own_stack, message)
    assert ended == "failed"
    assert error.startswith("RuntimeError: ")


# A process of a worker ---------------------------------------------------------------------------


@pytest.fixture
def process(own_stack):
    """What runs in each process of a worker; here it is this one."""
    before = signal.getsignal(signal.SIGTERM)
    process = WorkerProcess(lambda registry: register_services(registry, own_stack.settings, {}))
    signal.signal(signal.SIGTERM, before)
    # It waits for its loop without an end: the main thread, where this test is.
    guard = threading.Timer(5, process._work.put, [give_up])
    guard.start()
    yield process
    guard.cancel()
    loop = process._loop
    thread = next(one for one in threading.enumerate() if one.name == "jobs")
    asyncio.run_coroutine_threadsafe(process._registry.aclose(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def give_up():
    raise TimeoutError("the loop of the process does not go on")


async def test_a_job_that_is_not_async_runs_in_the_main_thread(own_stack, process):
    threads = []

    def act(thing_id: UUID) -> None:
        threads.append(threading.current_thread())

    one = some_job(act)
    message = await told(own_stack, one)
    assert process.perform(one, message) is None
    assert threads == [threading.main_thread()]
    assert await state(own_stack, message) == ("succeeded", 1, None)


async def test_async_jobs_run_on_one_loop_beside_the_main_thread(own_stack, process):
    found = []

    async def act(thing_id: UUID) -> None:
        found.append((asyncio.get_running_loop(), threading.current_thread().name))

    one = some_job(act)
    for _ in range(2):
        assert process.perform(one, await told(own_stack, one)) is None
    assert found == [(process._loop, "jobs")] * 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("broken"), "ValueError: broken"),
        (SoftTimeLimitExceeded(), "TimeoutError: "),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
async def test_how_a_job_that_is_not_async_ends_is_recorded(own_stack, process, error, expected):
    def act(thing_id: UUID) -> None:
        raise error

    one = some_job(act, retry_every=seconds(60))
    message = await told(own_stack, one)
    assert process.perform(one, message) == seconds(60)
    assert await state(own_stack, message) == ("queued", 1, expected)


@pytest.mark.parametrize("error", [asyncio.CancelledError("inside"), SystemExit(3)], ids=repr)
async def test_an_async_job_that_ends_in_an_unusual_way_has_failed(own_stack, process, error):
    async def act(thing_id: UUID) -> None:
        raise error

    one = some_job(act, retry_every=seconds(60))
    message = await told(own_stack, one)
    assert process.perform(one, message) == seconds(60)
    expected = f"{type(error).__name__}: {error}"
    assert await state(own_stack, message) == ("queued", 1, expected)


async def test_its_leases_name_the_process(own_stack, process):
    holders = []

    async def act(thing_id: UUID) -> None:
        async with another_connection(own_stack) as connection:  # one of this loop
            holders.append(await connection.fetchval("select holder from jobs.runs"))

    one = some_job(act)
    message = await told(own_stack, one)
    assert process.perform(one, message) is None
    assert holders[0].startswith(holder_prefix(os.getpid()))
