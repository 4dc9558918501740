"""Workers, relays and beats as production runs them: recycled, wedged, and without any server."""

import os
import signal
import time

import pytest

from kit.waiting import until

pytestmark = pytest.mark.slow


async def effect(system, thing_id):
    return (await system.effects(thing_id))["effect"]


async def pid_of(system, thing_id):
    """Wait for the effect of a thing; return the process that had it."""
    await until(lambda: effect(system, thing_id), seconds=40)
    rows = await system.fetch(
        "select pid from effects where kind = 'effect' and subject = $1", str(thing_id)
    )
    return rows[0]["pid"]


@pytest.mark.parametrize(
    "setting", ["WORKER_MAX_TASKS_PER_CHILD", "WORKER_MAX_MEMORY_PER_CHILD_MB"]
)
async def test_a_process_is_replaced_after_its_jobs_or_when_it_is_large(system, setting):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker", WORKER_CONCURRENCY="1", **{setting: "1"})
    things, pids = [], set()
    for number in (1, 2):
        things.append(await system.publish(author))
        pids.add(await pid_of(system, things[-1]))
        assert len(pids) == number
        await until(lambda: system.queued() == 0)
    assert worker.running
    for thing in things:
        assert await system.effects(thing) == {"start": 1, "effect": 1}


async def test_without_limits_a_process_stays(system):
    author, _ = await system.author()
    await system.start("relay")
    await system.start("worker")
    pids = {await pid_of(system, await system.publish(author)) for _ in range(3)}
    assert len(pids) == 1


async def test_a_process_that_takes_no_messages_stops_the_heartbeat_that_probes_look_at(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker", WORKER_CONCURRENCY="1")
    heartbeat = worker.log.with_suffix(".alive")
    pid = await pid_of(system, await system.publish(author, blocking=True))
    await until(lambda: system.queued() == 0)  # a job that is stopped has its time limit
    os.kill(pid, signal.SIGSTOP)
    try:
        thing = await system.publish(author, blocking=True)
        await until(lambda: "takes no messages" in worker.printed, seconds=60)
        await until(lambda: time.time() - heartbeat.stat().st_mtime > 8)  # one beat is every 5 s
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: effect(system, thing), seconds=40)
    await until(lambda: time.time() - heartbeat.stat().st_mtime < 5)
    assert worker.running


async def test_without_any_server_all_processes_stay_up_and_say_what_is_away(system):
    author, _ = await system.author()
    system.broker.kill()
    system.cache.kill()
    said = {
        "worker": "The broker is away",
        "relay": "The outbox does not answer",
        "beat": "A slot was not put",
    }
    async with system.away():
        # Each starts, and its heartbeat is there: a restart would not help.
        processes = [await system.start(name) for name in said]
        for process in processes:
            await until(lambda: said[process.name] in process.printed)  # noqa: B023 - awaited here
            assert process.running
    await system.broker.start()
    await system.cache.start()
    thing = await system.publish(author)
    await until(lambda: effect(system, thing), seconds=40)
    assert all(process.running for process in processes)
