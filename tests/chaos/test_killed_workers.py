"""C4 and C5: whole workers are killed; their jobs are back within 30 s, and happen once."""

import asyncio
import os
import random
import time
from functools import partial

import pytest

from kit.runs import EXPIRE
from kit.waiting import until

pytestmark = pytest.mark.slow

BACK_SECONDS = 30
PUBLISH = (
    "insert into public.things (title, content, published, author_id) "
    "select 'A wish', $2, true, $1 from generate_series(1, $3)"
)
EFFECTS = """
select count(*) as number, count(distinct subject) as things
from public.effects where kind = 'effect'
"""
UNFINISHED = "select id from jobs.runs where finished_at is null"
PENDING = "select id from outbox.events where delivered_at is null"


async def starts(system, thing):
    return (await system.effects(thing))["start"]


async def started(system, thing, times=1):
    return await starts(system, thing) >= times


def number_ended(workers, number):
    return sum(not one.running for one in workers) == number


async def killed(worker):
    """Kill a worker with all its processes, and return when it is gone."""
    worker.kill()
    await worker.ended()
    return time.monotonic()


async def worker_of(system, thing, workers):
    """Return the worker that began the thing's job."""
    query = "select pid from effects where kind = 'start' and subject = $1"
    (row,) = await system.fetch(query, str(thing))
    return next(one for one in workers if one.pid == os.getpgid(row["pid"]))


async def test_c4_a_killed_workers_job_is_back_within_half_a_minute_behind_a_long_queue(system):
    author, _ = await system.author()
    await system.start("relay")
    workers = [await system.start("worker", WORKER_JOBS="1") for _ in range(2)]
    thing = await system.publish(author, sleep=50)
    await until(partial(started, system, thing))
    await system.fetch("update public.things set content = '{}' where id = $1", thing)
    await system.fetch(PUBLISH, author, '{"sleep": 1}', 100)
    died = await killed(await worker_of(system, thing, workers))
    await until(partial(started, system, thing, 2), seconds=BACK_SECONDS)
    assert time.monotonic() - died <= BACK_SECONDS
    assert system.broker.client.llen("default") > 0  # it did not wait for an empty queue

    async def effect():
        return (await system.effects(thing))["effect"]

    await until(effect)
    assert await system.effects(thing) == {"start": 2, "effect": 1}


async def test_c4_a_job_that_kills_its_worker_each_time_is_a_dead_letter_after_four(system):
    author, _ = await system.author()
    await system.start("relay")
    workers = [await system.start("worker", ready=False, WORKER_JOBS="1") for _ in range(5)]
    thing = await system.publish(author, kill_group=99)
    for times in (1, 2, 3, 4):
        await until(partial(started, system, thing, times))
        await until(partial(number_ended, workers, times))
        await system.fetch(f"{EXPIRE} where state = 'running'")  # the lease: see the test above
    (failed,) = await until(lambda: system.runs("act_on_thing.act", "failed"))
    assert (failed["attempts"], failed["error"]) == (4, "lost 4 times: its process was killed")
    assert await system.effects(thing) == {"start": 4}
    assert number_ended(workers, 4)


async def test_c4_a_message_that_died_with_its_worker_is_back_within_half_a_minute(system):
    author, _ = await system.author()
    await system.start("relay")
    thing = await system.publish(author)
    await until(lambda: system.broker.client.llen("default"))
    taken = time.monotonic()
    system.broker.client.delete("default", "cpu")  # taken, and not begun
    await system.start("worker")
    await until(partial(started, system, thing), seconds=BACK_SECONDS)
    assert time.monotonic() - taken <= BACK_SECONDS


async def jobs_under_fire(system, *, number, kills, sleep, every):
    """Publish jobs, kill the older of two workers at random times, and wait for all jobs."""
    chance = random.Random(20261127)
    author, _ = await system.author()
    await system.start("relay")
    workers = [await system.start("worker", WORKER_JOBS="4") for _ in range(2)]
    await system.fetch(PUBLISH, author, f'{{"sleep": {sleep}, "once": true}}', number)
    await until(lambda: system.fetch("select id from effects limit 1"))
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.5, 1.5) * every)  # the fault itself
        await killed(workers.pop(0))
        workers.append(await system.start("worker", ready=False, WORKER_JOBS="4"))

    async def finished():
        return not await system.fetch(UNFINISHED) and not await system.fetch(PENDING)

    await until(finished, seconds=BACK_SECONDS + number * 0.5)
    (effects,) = await system.fetch(EFFECTS)
    assert (effects["number"], effects["things"]) == (number, number)
    assert len(await system.runs("act_on_thing.act", "succeeded")) == number


@pytest.mark.nightly  # the small soak has its kills in the slow lane
async def test_c5_40_jobs_under_2_kills_of_whole_workers_have_40_effects(system):
    await jobs_under_fire(system, number=40, kills=2, sleep=0.5, every=1)


@pytest.mark.nightly
async def test_c5_1000_jobs_under_10_kills_of_whole_workers_have_1000_effects(system):
    await jobs_under_fire(system, number=1000, kills=10, sleep=0.5, every=8)
