"""C12 and C13, S11: dead letters of real workers, through kills, deploys and an absent database."""

import asyncio
from functools import partial

import pytest

from kit.process import APPLICATION
from kit.waiting import until

pytestmark = pytest.mark.slow

JOB = "act_on_thing.act"
REPLAY = "select public.replay_dead_letter($1) as outcome"
LETTERS = "select * from jobs.dead_letters where job = $1"


async def waiting(system):
    """Wait for the dead letter of the job, and return it."""
    (letter,) = await until(lambda: system.fetch(f"{LETTERS} and state = 'waiting'", JOB))
    return letter


async def effect(system, thing):
    return (await system.effects(thing))["effect"]


async def test_c12_a_dead_letter_is_replayed_once_by_two_at_a_time_though_a_worker_dies(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    thing = await system.publish(author, permanent=True)
    letter = await waiting(system)
    assert letter["error"] == "Permanent: as the thing wishes"
    assert letter["arguments"] == f'{{"thing_id": "{thing}", "author_id": "{author}"}}'
    await system.fetch("""update things set content = '{"sleep": 2}' where id = $1""", thing)
    replays = await asyncio.gather(*(system.fetch(REPLAY, letter["id"]) for _ in range(2)))
    assert sorted(rows[0]["outcome"] for rows in replays) == ["replayed", "settled"]

    async def begun():
        return (await system.effects(thing))["start"] == 2

    await until(begun, seconds=30)
    worker.kill()
    await worker.ended()
    await system.start("worker")
    await until(partial(effect, system, thing), seconds=40)
    assert await system.effects(thing) == {"start": 3, "effect": 1}
    await until(lambda: system.runs(JOB, "succeeded"))
    (found,) = await system.fetch(LETTERS, JOB)
    assert (found["state"], found["settled_at"] is not None) == ("replayed", True)


async def test_c13_a_job_that_this_worker_does_not_know_is_replayed_after_the_deploy(system):
    author, _ = await system.author()
    await system.start("relay")
    old = await system.start("worker", program=APPLICATION)  # and the relay is newer
    thing = await system.publish(author)
    letter = await waiting(system)
    assert (letter["error"], letter["attempts"]) == ("this worker does not know the job", 0)
    old.kill()
    await old.ended()
    await system.start("worker")  # the deploy
    await system.fetch(REPLAY, letter["id"])
    await until(partial(effect, system, thing), seconds=40)
    assert await system.effects(thing) == {"start": 1, "effect": 1}


async def test_s11_poison_waits_on_the_broker_while_the_database_is_away(system):
    author, _ = await system.author()
    await system.start("relay")
    worker = await system.start("worker")
    client = system.broker.client
    count = "select count(*) as number from jobs.dead_letters where message is not null"
    async with system.away():
        client.lpush("default", *(f"poison {number}" for number in range(20)))
        await until(lambda: client.llen("dead_letters") == 20)
    thing = await system.publish(author)
    await until(partial(effect, system, thing), seconds=40)

    async def moved():
        return (await system.fetch(count))[0]["number"] == 20 and not client.llen("dead_letters")

    await until(moved, seconds=40)
    assert worker.running
