"""A worker process."""

import asyncio
import os
import signal
import threading
from concurrent.futures import Future
from uuid import UUID

import pytest
from billiard.pool import soft_timeout_sighandler
from celery.exceptions import SoftTimeLimitExceeded

from kernel.boot.services import register_services
from kernel.jobs import seconds
from kernel.worker.process import WorkerProcess, holder_prefix
from kit.runs import another_connection, some_job, state, told


@pytest.fixture
def process(own_stack):
    """The state of each worker process; here it is in the test process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    process = WorkerProcess(lambda registry: register_services(registry, own_stack.settings, {}))
    signal.signal(signal.SIGTERM, before[signal.SIGTERM])
    signal.signal(signal.SIGUSR1, soft_timeout_sighandler)  # Celery does so after it
    # It waits for its loop forever, in the main thread, where this test runs.
    guard = threading.Timer(5, process._work.put, [give_up])
    guard.start()
    yield process
    guard.cancel()
    signal.signal(signal.SIGUSR1, before[signal.SIGUSR1])
    loop = process._loop
    thread = next(one for one in threading.enumerate() if one.name == "jobs")
    asyncio.run_coroutine_threadsafe(process._registry.aclose(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def give_up():
    raise TimeoutError("the loop of the process is stuck")


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


async def test_a_time_limit_interrupts_a_job_that_is_not_async(own_stack, process):
    def act(thing_id: UUID) -> None:
        signal.raise_signal(signal.SIGUSR1)
        raise AssertionError("it goes on")

    one = some_job(act, retry_every=seconds(60))
    message = await told(own_stack, one)
    assert process.perform(one, message) == seconds(60)
    assert await state(own_stack, message) == ("queued", 1, "TimeoutError: ")


async def test_a_time_limit_that_comes_too_late_loses_no_result(own_stack, process, monkeypatch):
    class Late(Future[object]):
        def set_result(self, result):
            signal.raise_signal(signal.SIGUSR1)
            super().set_result(result)
            signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr("kernel.worker.process.Future", Late)
    calls = []

    def act(thing_id: UUID) -> None:
        calls.append(thing_id)

    one = some_job(act)
    message = await told(own_stack, one)
    assert process.perform(one, message) is None
    assert await state(own_stack, message) == ("succeeded", 1, None)
    assert len(calls) == 1


async def test_a_time_limit_does_not_interrupt_what_waits_for_a_job(own_stack, process):
    async def act(thing_id: UUID) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    one = some_job(act)
    message = await told(own_stack, one)
    assert process.perform(one, message) is None
    assert await state(own_stack, message) == ("succeeded", 1, None)


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
        async with another_connection(own_stack) as connection:  # a connection of this loop
            holders.append(await connection.fetchval("select holder from jobs.runs"))

    one = some_job(act)
    message = await told(own_stack, one)
    assert process.perform(one, message) is None
    assert holders[0].startswith(holder_prefix(os.getpid()))
