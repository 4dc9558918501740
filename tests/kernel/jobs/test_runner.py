"""The runner, which performs the runs of jobs."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from kernel.config.settings import Settings
from kernel.core.request_id import request_id
from kernel.jobs import Permanent, seconds
from kernel.jobs.runner import Runner
from kernel.jobs.runs import Run, Runs
from kernel.jobs.table import Message
from kernel.supabase import AsService
from kit.runs import EXPIRE, Acting, at_once, begin, is_over, marked, record, some_job, state, told
from kit.waiting import until


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
    assert (row["job"], row["request_id"]) == (acting.job.name, "request-1")
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
    assert seconds(0.5) < again <= seconds(15.5)  # the time when the lease expires
    free.set()
    assert await first is None
    assert len(calls) == 1
    assert await performs(one, message) is None


async def test_jobs_at_the_same_time_have_each_its_own_request_id(own_stack, performs):
    seen, both = {}, asyncio.Event()

    async def act(thing_id: UUID, run: Run) -> None:
        seen[run.id] = [run.request_id]
        if len(seen) == 2:
            both.set()
        await both.wait()
        seen[run.id].append(request_id.get())

    one = some_job(act)
    messages = [await told(own_stack, one) for _ in range(2)]
    await own_stack.sql.execute("update outbox.events set request_id = 'request-' || id")
    assert await asyncio.gather(*(performs(one, message) for message in messages)) == [None] * 2
    expected = {one.run_id: [f"request-{one.event_id}"] * 2 for one in messages}
    assert seen == expected
    assert request_id.get() is None


async def test_c8_a_job_that_fails_is_tried_again_three_times_and_kept(
    own_stack, services, performs, caplog
):
    caplog.set_level("INFO")
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
    assert (row["job"], row["request_id"]) == (acting.job.name, "request-1")
    assert [attempt for _, attempt in acting.called] == [1, 2, 3, 4]
    assert await performs(acting.job, message) is None
    assert len(acting.called) == 4
    assert not await marked(services, message)
    levels = [one.levelname for one in caplog.records if one.name == "kernel.jobs.runner"]
    # Each attempt has a line when it starts and one when it ends; the last is the dead letter.
    assert levels == ["INFO", "WARNING"] * 3 + ["INFO", "ERROR", "ERROR"]


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
    assert caplog.messages.count("dead letter") == 1


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
