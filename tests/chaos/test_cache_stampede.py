"""Many concurrent readers of one thing, in real processes (K1 to K3)."""

import asyncio
import time
from itertools import chain
from statistics import quantiles

import pytest

from kit.readers import Reader, at_once, readers
from kit.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

READERS = 200
WAIT_SECONDS = 0.5  # K3: the maximum wait for another process's load
ROUNDS = 3


async def loads(system, thing):
    return (await system.effects(thing))["load"]


async def while_it_is(reader: Reader, path: str, wanted: str):
    """Read repeatedly; return the responses until X-Cache changes."""
    found = []
    while (answer := await reader.get(path)).cache == wanted:
        found.append(answer)
    return found


async def side_by_side(found, hot_path, fresh_path):
    """Half of the readers read a stale key until it is fresh, the others read a fresh key."""
    over = False

    async def read_fresh(reader: Reader):
        answers = []
        while not over:
            answers.append(await reader.get(fresh_path))
        return answers

    half = len(found) // 2
    beside = [asyncio.create_task(read_fresh(reader)) for reader in found[half:]]
    old = await asyncio.gather(*(while_it_is(one, hot_path, "STALE") for one in found[:half]))
    over = True
    return [*chain(*old)], [*chain(*await asyncio.gather(*beside))]


def p99_ms(answers):
    return quantiles([answer.seconds for answer in answers], n=100)[98] * 1000


@pytest.mark.parametrize(("redis", "most"), [("up", 1), ("refused", 2)])
async def test_k1_two_hundred_readers_of_a_cold_key_lead_to_one_load(
    system, unused_tcp_port, redis, most, summary
):
    author, _ = await system.author()
    thing = await system.publish(author, load=0.3)
    changes = {} if redis == "up" else {"REDIS_PORT": str(unused_tcp_port)}
    async with (
        system.api(**changes) as (_, one),
        system.api(**changes) as (_, other),
        readers(READERS, [one.base_url.port, other.base_url.port]) as all_readers,
    ):
        await at_once(all_readers, "/alive")
        answers = await at_once(all_readers, f"/long-things/{thing}")
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert await loads(system, thing) <= most
        again = await all_readers[0].get(f"/long-things/{thing}")
        assert again.cache == ("HIT" if redis == "up" else "BYPASS")
    slowest = max(answer.seconds for answer in answers)
    summary(f"K1, Redis {redis}: {READERS} readers, the slowest waited {slowest * 1000:.0f} ms")


async def test_k2_no_reader_waits_for_a_stale_key_and_it_is_loaded_once(system, summary):
    author, _ = await system.author()
    fresh, hot = [await system.publish(author, load=1) for _ in range(2)]
    fresh_path, hot_path = f"/long-things/{fresh}", f"/short-things/{hot}"
    async with (
        system.api() as (_, one),
        system.api() as (_, other),
        readers(8, [one.base_url.port, other.base_url.port]) as found,
    ):
        await at_once(found, fresh_path)
        shown = []
        for _ in range(ROUNDS):
            await at_once(found, hot_path)
            before = await loads(system, hot)
            await while_it_is(found[0], hot_path, "HIT")
            old, new = await side_by_side(found, hot_path, fresh_path)
            assert await loads(system, hot) == before + 1
            assert {answer.status for answer in old} == {200}
            assert {answer.cache for answer in new} == {"HIT"}
            assert max(answer.seconds for answer in old) < WAIT_SECONDS  # a load takes 1 s
            times = p99_ms(old), p99_ms(new)
            shown.append(f"{times[0]:.1f} ms against {times[1]:.1f} ms (of {len(old)} answers)")
            if times[0] <= times[1] + 10:
                break
        else:
            pytest.fail(f"P99 of stale responses against that of fresh ones: {shown}")
    summary(f"K2: P99 of a stale key during its renewal, against a fresh key's: {'; '.join(shown)}")


async def test_k3_a_load_whose_process_is_killed_is_done_by_another(system, summary):
    author, _ = await system.author()
    thing = await system.publish(author, load=0.3)
    path = f"/long-things/{thing}"
    async with (
        system.api(LOAD_SECONDS="60") as (holder, dying),
        system.api() as (_, living),
        readers(1, [dying.base_url.port]) as (victim,),
        readers(20, [living.base_url.port]) as others,
    ):
        await at_once(others, "/alive")
        lost = asyncio.create_task(victim.get(path))
        await until(lambda: loads(system, thing))
        waiting = asyncio.create_task(at_once(others[:10], path))
        holder.kill()
        killed = time.monotonic()
        with pytest.raises((EOFError, ConnectionError)):
            await lost
        later = await at_once(others[10:], path)
        answers = [*await waiting, *later]
        assert time.monotonic() - killed <= 3
        assert {answer.status for answer in answers} == {200}
        assert await loads(system, thing) == 2
        slowest = max(answer.seconds for answer in answers)
        assert slowest <= WAIT_SECONDS + 0.3
        assert (await others[0].get(path)).cache == "HIT"
    summary(f"K3: the slowest waited {slowest * 1000:.0f} ms for a load of 300 ms, lost once")


async def test_k3_a_renewal_whose_process_is_killed_is_done_by_another(system, summary):
    author, _ = await system.author()
    thing = await system.publish(author, load=0)
    path = f"/short-things/{thing}"
    async with (
        system.api(LOAD_SECONDS="60") as (holder, dying),
        system.api() as (_, living),
        readers(1, [dying.base_url.port]) as (victim,),
        readers(1, [living.base_url.port]) as (reader,),
    ):
        await reader.get(path)
        await while_it_is(victim, path, "HIT")  # the first STALE response starts the load
        await until(lambda: more_than_one(system, thing))
        holder.kill()
        killed = time.monotonic()
        answers = await while_it_is(reader, path, "STALE")
        took = time.monotonic() - killed
        assert took <= 3
        assert answers
        assert max(answer.seconds for answer in answers) <= WAIT_SECONDS
        assert (await reader.get(path)).cache == "HIT"
        assert await loads(system, thing) == 3
    summary(f"K3: {took:.1f} s after its process was killed, another one had done a renewal")


async def more_than_one(system, thing):
    return await loads(system, thing) > 1
