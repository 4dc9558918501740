"""The runner while the database or the broker is unavailable."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID

import pytest
import svcs

from kernel.errors import Permanent, Temporary, Unavailable
from kernel.jobs import runner, runs, seconds
from kernel.jobs.runner import Runner
from kernel.jobs.runs import Runs
from kernel.observe.unexpected import Unexpected, UnexpectedErrors
from kit.runs import (
    EXPIRE,
    Acting,
    at_once,
    is_over,
    marked,
    record,
    renamed,
    some_job,
    state,
    told,
)
from kit.waiting import until


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
async def test_a_finished_job_is_not_repeated_if_its_end_was_not_recorded(
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
async def test_a_message_that_the_database_refuses_is_delayed(own_stack, services, function):
    """For example a worker that is newer than the schema: immediate retries would be a storm."""
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


async def test_a_lost_lease_is_logged(own_stack, performs, monkeypatch, caplog):
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


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (RuntimeError("no luck"), True),
        (SystemExit(1), True),
        (Permanent("never"), False),
        (Temporary("later"), False),
        (Unavailable(), False),
    ],
)
async def test_only_errors_that_jobs_do_not_raise_on_purpose_are_reported_to_observers(
    own_stack, services, performs, error, reported
):
    seen: list[Unexpected] = []

    def fail(_: Unexpected) -> None:
        raise LookupError

    unexpected = svcs.Container(services).get(UnexpectedErrors)
    unexpected.add(fail)  # it stops neither the job nor the next observer
    unexpected.add(seen.append)
    acting = Acting(error)
    await performs(acting.job, await told(own_stack, acting.job))
    assert len(acting.called) == 1
    where = [(one.error, one.slice, one.job, one.request_id) for one in seen]
    assert where == [(error, acting.job.slice, acting.job.name, "request-1")] * reported
