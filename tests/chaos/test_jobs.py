"""Jobs under faults: real workers, relays and brokers are killed or disconnected (C1 to C13)."""

import os
import signal
import time
from functools import partial

import pytest

from kit.waiting import until

pytestmark = pytest.mark.slow


async def one_effect(system, thing_id, seconds=20.0):
    await until(lambda: effect(system, thing_id), seconds=seconds)


async def effect(system, thing_id):
    return (await system.effects(thing_id))["effect"]


async def started(system, thing_id):
    return (await system.effects(thing_id))["start"]


async def alone(system, thing_id):
    """Wait until the thing's job runs and no other job waits: a thing leads to several jobs."""
    await until(lambda: started(system, thing_id))
    await until(lambda: system.queued() == 1)


async def settled(system):
    """Wait until no message waits or is unacknowledged."""
    await until(lambda: system.queued() == 0)


async def test_c1_jobs_survive_a_broker_that_is_killed_and_comes_back(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    things = [await system.publish(author, sleep=6) for _ in range(2)]
    for thing in things:
        await until(partial(started, system, thing))
    system.broker.kill()
    away = time.monotonic()
    await until(lambda: time.monotonic() - away >= 8)  # the fault itself
    await system.broker.start()
    back = time.monotonic()
    probe = await system.publish(author)
    await one_effect(system, probe)
    assert time.monotonic() - back <= 20
    assert worker.running
    await settled(system)
    for thing in things:
        assert (await system.effects(thing))["effect"] == 1


async def test_c2_a_connection_that_is_cut_leaves_one_effect(system):
    author, _ = await system.author()
    await system.start("relay")
    await system.start("worker")
    thing = await system.publish(author, sleep=6)
    await until(lambda: started(system, thing))
    system.broker.client.client_kill_filter(_type="normal", skipme=True)
    await one_effect(system, thing)
    await settled(system)
    assert (await system.effects(thing))["effect"] == 1


async def test_o7_a_broker_that_becomes_a_replica_and_a_primary_again_ends_no_worker(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    thing = await system.publish(author, sleep=3)
    await until(lambda: started(system, thing))
    broker = system.broker.client
    broker.replicaof("127.0.0.1", 1)  # nobody listens there: it takes no writes
    began = time.monotonic()
    await until(lambda: time.monotonic() - began >= 5)  # the fault itself: the job ends within it
    assert worker.running
    broker.replicaof("NO", "ONE")
    probe = await system.publish(author)
    await one_effect(system, probe, seconds=40.0)
    await settled(system)
    assert worker.running
    assert (await system.effects(thing))["effect"] == 1


async def test_c3_a_job_that_kills_its_process_runs_four_times_and_is_kept_as_failed(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    thing = await system.publish(author, kill=99)
    failed = await until(lambda: system.runs("act_on_thing.act", "failed"), seconds=30)
    assert [row["attempts"] for row in failed] == [4]
    await settled(system)
    assert await system.effects(thing) == {"start": 4}
    assert worker.running


@pytest.mark.alone  # an idle machine needs almost all of this limit
async def test_c6_sigterm_gives_a_long_job_back_at_once(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker", WORKER_GRACE_SECONDS="5")
    thing = await system.publish(author, sleep=30)
    await alone(system, thing)
    asked = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert await worker.ended(12) == 0, worker.printed
    assert time.monotonic() - asked <= 12
    assert system.broker.client.llen("default") == 1
    rows = await system.runs("act_on_thing.act", "queued")
    assert [row["attempts"] for row in rows] == [0]


async def test_c6_a_job_that_ends_within_the_grace_is_acknowledged(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker", WORKER_GRACE_SECONDS="10")
    thing = await system.publish(author, sleep=4)
    await alone(system, thing)
    os.killpg(worker.pid, signal.SIGTERM)  # like a terminal or a supervisor
    assert await worker.ended(9) == 0
    assert await system.effects(thing) == {"start": 1, "effect": 1}
    assert system.queued() == 0


async def test_c9_two_beats_make_one_run_for_each_slot_also_when_one_is_killed(system):
    await system.start("relay")
    await system.start("worker")
    first = await system.start("beat")
    await system.start("beat")

    async def slots():
        return [row["subject"] for row in await system.fetch("select subject from effects")]

    await until(slots)
    first.kill()
    before = len(await slots())
    await until(lambda: more_than(slots, before))
    found = await slots()
    assert len(found) == len(set(found))


async def more_than(count, number):
    return len(await count()) > number


async def test_a_job_that_is_not_async_is_cut_off_at_its_limit_and_tried_again(system):
    author, _ = await system.author()
    await system.start("relay")
    await system.start("worker")
    thing = await system.publish(author, blocking=True, sleep=30)
    failed = await until(partial(system.runs, "act_on_thing.act_blocking", "failed"))
    assert failed[0]["attempts"] == 2
    assert failed[0]["error"].startswith("TimeoutError")
    assert await system.effects(thing) == {"start": 2}
    await settled(system)


async def test_jobs_survive_the_loss_of_all_messages_in_the_broker(system):
    author, _ = await system.author()
    relay = await system.start("relay")
    thing = await system.publish(author)
    await until(lambda: system.broker.client.llen("default"))
    relay.signal(signal.SIGTERM)
    assert await relay.ended() == 0
    system.broker.client.flushall()
    await system.start("relay")
    await system.start("worker")
    await one_effect(system, thing, 40)
