"""Async jobs share a process: what one of them does to it costs the others little."""

import os
import signal
import subprocess
from functools import partial

import pytest

from kit.waiting import until

pytestmark = pytest.mark.slow

AT_A_TIME = """
select max((
  select count(*) from jobs.runs other
  where other.job = run.job and run.started_at >= other.started_at
    and run.started_at < other.finished_at
)) from jobs.runs run where run.job = 'act_on_thing.act'
"""


async def effects(system, things):
    """Return whether all these things have had their effect."""
    found = await system.fetch("select subject from effects where kind = 'effect'")
    return {str(thing) for thing in things} <= {row["subject"] for row in found}


async def attempts(system, state="succeeded"):
    return [row["attempts"] for row in await system.runs("act_on_thing.act", state)]


async def test_jobs_that_wait_do_so_together_in_one_process(system):
    author, _ = await system.author()
    await system.start("relay")
    await system.start("worker")
    things = [await system.publish(author, sleep=5) for _ in range(12)]
    await until(partial(effects, system, things), seconds=40)  # one after the other: 60 s
    rows = await system.fetch("select pid from effects where kind = 'start'")
    assert len(rows) == 12
    assert len({row["pid"] for row in rows}) == 1
    await until(lambda: system.queued() == 0)


async def test_a_worker_runs_no_more_at_a_time_than_it_may(system):
    author, _ = await system.author()
    things = [await system.publish(author, sleep=1) for _ in range(4)]
    await system.start("relay")
    await system.start("worker", WORKER_JOBS="2")
    await until(partial(effects, system, things), seconds=40)
    assert (await system.fetch(AT_A_TIME))[0]["max"] <= 2


async def test_c3_a_job_that_kills_its_process_each_time_costs_the_others_one_attempt(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    others = [await system.publish(author, sleep=6) for _ in range(8)]
    await until(lambda: started(system, 8))
    killer = await system.publish(author, kill=99)
    failed = await until(partial(system.runs, "act_on_thing.act", "failed"), seconds=40)
    assert [row["attempts"] for row in failed] == [4]
    await until(partial(effects, system, others), seconds=40)
    await until(lambda: system.queued() == 0)
    assert await attempts(system) == [2] * 8
    assert await system.effects(killer) == {"start": 4}
    later = await system.publish(author)
    await until(partial(effects, system, [later]))
    assert worker.running


async def started(system, number):
    return len(await system.fetch("select from effects where kind = 'start'")) >= number


async def test_a_blocked_loop_is_killed_before_its_leases_end_and_all_its_jobs_end_once(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    others = [await system.publish(author, sleep=3) for _ in range(4)]
    await until(lambda: started(system, 4))
    blocking = await system.publish(author, block=1)
    await until(partial(effects, system, [*others, blocking]), seconds=60)
    assert "An event loop is blocked" in worker.printed
    assert await attempts(system) == [2] * 5
    for thing in [*others, blocking]:
        assert (await system.effects(thing))["effect"] == 1
    await until(lambda: system.queued() == 0)


async def test_a_process_that_is_stopped_is_replaced(system):
    author, _ = await system.author()
    await system.start("relay")
    await system.start("worker")
    first = await system.publish(author)
    await until(partial(effects, system, [first]))
    await until(lambda: system.queued() == 0)
    (row,) = await system.fetch("select pid from effects where kind = 'effect'")
    os.kill(row["pid"], signal.SIGSTOP)
    await until(partial(effects, system, [await system.publish(author)]), seconds=40)


async def test_if_the_worker_of_one_queue_dies_the_other_ends_too(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    thing = await system.publish(author)
    await until(partial(effects, system, [thing]))
    rows = await system.fetch("select pid from effects where subject = $1", str(thing))
    os.kill(parent_of(rows[0]["pid"]), signal.SIGKILL)
    assert await worker.ended() == signal.SIGKILL
    await until(lambda: is_empty(worker.pid))


def parent_of(pid):
    found = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True)
    return int(found.stdout)


def is_empty(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False
