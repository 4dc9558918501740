"""When our own connection connects, is lost and reconnects."""

import asyncio
import time
from functools import partial

import pytest

from kernel.redis import RedisAway, connect_pipeline
from kernel.redis.multiplexed import Multiplexed
from kernel.redis.over_redis_py import OverRedisPy
from kit.resp import answering, greeting_then, listening
from kit.small import changed
from kit.waiting import until


async def echo(pipeline, word="a"):
    (reply,) = await pipeline.ask(("ECHO", word))
    return reply


@pytest.fixture
async def pipeline(multiplexed_to, valkey):
    async with multiplexed_to(redis_port=valkey.port, redis_db=0) as pipeline:
        yield pipeline


def connections(valkey):
    return valkey.client.info("stats")["total_connections_received"]


async def test_it_connects_when_it_is_first_asked_and_once_for_all(pipeline, valkey):
    before = connections(valkey)
    await asyncio.gather(*(echo(pipeline) for _ in range(1000)))
    assert connections(valkey) == before + 1


async def test_r6_concurrent_calls_are_one_read_of_the_server(pipeline, valkey):
    await echo(pipeline)
    before = valkey.client.info("stats")["total_reads_processed"]
    await asyncio.gather(*(pipeline.ask(("PING",), ("PING",)) for _ in range(100)))
    assert valkey.client.info("stats")["total_reads_processed"] == before + 1 + 1  # one for INFO


async def test_a_connection_that_is_lost_while_idle_costs_nobody_a_failure(
    pipeline, valkey, logged
):
    for _ in range(5):
        assert await echo(pipeline) == b"a"
        lost = pipeline._connection
        valkey.client.client_kill_filter(_type="normal", skipme=True)
        await until(partial(getattr, lost, "ended"))
        assert await echo(pipeline) == b"a"
    assert logged() == []


async def test_a_restart_between_two_asks_costs_nobody_a_failure(pipeline, valkey, logged):
    assert await echo(pipeline) == b"a"
    valkey.kill()
    await valkey.start()
    assert await echo(pipeline) == b"a"
    assert logged() == []


async def test_it_comes_back_without_being_asked(pipeline, valkey, logged):
    await echo(pipeline)
    with valkey.frozen(), pytest.raises(RedisAway):
        await echo(pipeline)
    await until(lambda: len(logged()) == 2, seconds=5)
    assert logged() == [("Redis is away", "no answer in 0.1 s"), ("Redis is back", None)]
    started = time.monotonic()
    assert await echo(pipeline) == b"a"
    assert time.monotonic() - started < 0.1


async def test_a_primary_that_became_a_replica_is_disconnected_and_found_again(
    pipeline, valkey, logged
):
    await echo(pipeline)
    valkey.client.replicaof("127.0.0.1", 1)
    (refused,) = await pipeline.ask(("SET", "a", "1"))
    assert str(refused).startswith("READONLY")
    assert [message for message, _ in logged()] == ["Redis is away"]
    valkey.client.replicaof("NO", "ONE")

    async def writes():
        try:
            return await pipeline.ask(("SET", "a", "1")) == [b"OK"]
        except RedisAway:
            return False

    await until(writes, seconds=5)


async def test_k5_a_server_that_only_greets_is_probed_with_backoff(multiplexed_to):
    greetings = 0

    def answer(command):
        nonlocal greetings
        greetings += command[0] == b"PING"
        return greeting_then(lambda _: None)(command)

    async with listening(answering(answer)) as port, multiplexed_to(redis_port=port) as pipeline:
        until_then = time.monotonic() + 1
        while time.monotonic() < until_then:
            with pytest.raises(RedisAway):
                await echo(pipeline)
            await asyncio.sleep(0.001)
    assert greetings < 20  # fewer than one for each call


async def test_with_sentinels_the_pipeline_uses_redis_py(settings):
    plain = connect_pipeline(settings)
    by_sentinel = connect_pipeline(
        changed(settings, redis_sentinels="127.0.0.1:1", broker_host="127.0.0.1")
    )
    assert (type(plain), type(by_sentinel)) == (Multiplexed, OverRedisPy)
    await plain.aclose()
    await by_sentinel.aclose()
