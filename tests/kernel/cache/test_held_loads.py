"""K4, K12: a read pauses between load and store, while a write commits and drops."""

import asyncio
import contextlib

import pytest

from kit.holding import THING, holding_feature, replicas
from kit.waiting import until

URL = f"/things/{THING}"


async def shown(client):
    answer = await client.get(URL)
    assert answer.status_code == 200
    return answer.json()["data"], answer.headers["x-cache"]


@contextlib.asynccontextmanager
async def two_processes(settings, origin):
    feature = holding_feature(origin)
    async with (
        replicas(settings, feature, 2) as (one, other),
        one.client() as here,
        other.client() as there,
    ):
        yield one, other, here, there


@contextlib.asynccontextmanager
async def held_load(origin, client):
    """Pause a client's load after it has read; at the end, it continues and stores its value."""
    before = len(origin.loads)
    origin.hold()
    paused = asyncio.create_task(shown(client))
    await origin.loading(before + 1)
    yield paused
    origin.release()
    await paused


async def test_k4_the_next_read_is_new_100_of_100(own_settings, origin):
    async with two_processes(own_settings, origin) as (one, other, here, there):
        for number in range(100):
            writer = (one, other)[number % 2]
            async with held_load(origin, here) as paused:
                await writer.write(origin, f"new {number}")
            assert (await paused)[0] == ("old" if number == 0 else f"new {number - 1}")
            assert await shown(there) == (f"new {number}", "MISS")
            assert await shown(here) == (f"new {number}", "HIT")
            await writer.write(origin, f"new {number}")  # so that the next read loads


async def test_k4_a_read_after_the_drop_does_not_wait_for_the_load_before_it(own_settings, origin):
    async with two_processes(own_settings, origin) as (one, _, here, there):
        async with held_load(origin, here) as paused:
            await one.write(origin, "new")
            later = [asyncio.create_task(shown(client)) for client in (here, there)]
            await origin.loading(2)
        assert (await paused)[0] == "old"
        assert {(await one)[0] for one in later} == {"new"}


def lose_versions(server):
    server.unlink("none", *server.keys("tag:*"))


def lose_all(server):
    server.flushall()


def overwrite_versions(server):
    for name in server.keys("tag:*"):
        server.set(name, "not a version")


@pytest.mark.parametrize("loss", [lose_versions, lose_all, overwrite_versions])
@pytest.mark.parametrize("when", ["before the write", "after the write", "after the store"])
async def test_k12_a_tag_version_that_is_lost_never_lets_an_old_value_through(
    own_settings, origin, valkey, loss, when
):
    async with two_processes(own_settings, origin) as (_, other, here, there):
        async with held_load(origin, here):
            if when == "before the write":
                loss(valkey.client)
            await other.write(origin, "new")
            if when == "after the write":
                loss(valkey.client)
        if when == "after the store":
            loss(valkey.client)
        for client in (there, here):
            assert (await shown(client))[0] == "new"
        assert await shown(here) == ("new", "HIT")


async def test_a_read_after_a_local_write_gets_it_also_while_redis_is_away(
    own_settings, origin, valkey
):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        valkey.kill()
        try:
            async with held_load(origin, client) as paused:
                await one.write(origin, "new")
                later = asyncio.create_task(shown(client))
                await origin.loading(2)
        finally:
            await valkey.start()
        assert (await paused, await later) == (("old", "BYPASS"), ("new", "BYPASS"))
        assert len(origin.loads) == 2


def looked_up(valkey):
    return valkey.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]


async def test_a_reader_that_leaves_does_not_end_the_load_for_the_others(
    own_settings, origin, valkey
):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        async with held_load(origin, client):
            before = looked_up(valkey)
            others = [asyncio.create_task(shown(client)) for _ in range(5)]
            goes = asyncio.create_task(shown(client))
            await until(lambda: looked_up(valkey) == before + 6)
            goes.cancel()
            await until(goes.done)
        assert [(await other)[0] for other in others] == ["old"] * 5
        assert len(origin.loads) == 1


async def test_the_reader_that_began_the_load_can_leave_without_ending_it(own_settings, origin):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        origin.hold()
        began = asyncio.create_task(shown(client))
        await origin.loading()
        others = [asyncio.create_task(shown(client)) for _ in range(5)]
        began.cancel()
        await until(began.done)
        origin.release()
        assert [(await other)[0] for other in others] == ["old"] * 5
        assert len(origin.loads) == 1
