"""A primary dies: Sentinel promotes its replica, and our clients switch to it."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from devstack.testing import free_port, valkey_cache
from kernel.redis import RedisAway, connect_pipeline, connect_redis
from kit.resp import listening, silent
from kit.small import changed
from kit.valkeys import Valkey
from kit.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
async def primary(tmp_path):
    server = Valkey(tmp_path / "primary", keeps=False)
    await server.start()
    yield server
    server.client.close()
    server.kill()


@pytest.fixture
async def replica(tmp_path, primary):
    server = Valkey(tmp_path / "replica", keeps=False)
    await server.start()
    server.client.replicaof("127.0.0.1", primary.port)
    await until(lambda: server.client.info("replication")["master_link_status"] == "up")
    yield server
    server.client.close()
    server.kill()


@pytest.fixture
async def sentinel(tmp_path, primary, replica):
    """The port of a Sentinel that monitors both servers."""
    port, config = free_port(), tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    (binary, *_) = valkey_cache(port, tmp_path / "unused").argv
    process = await asyncio.create_subprocess_exec(
        *(binary, str(config), "--sentinel"), stdout=asyncio.subprocess.DEVNULL
    )

    def knows():
        try:
            with Redis(port=port, socket_timeout=1, decode_responses=True) as client:
                return client.sentinel_slaves("main")
        except RedisError:
            return None

    await until(knows)
    yield port
    process.kill()
    await process.wait()


@pytest.fixture
def by_sentinel(settings, sentinel):
    def made(*others):
        return changed(
            settings,
            redis_host="192.0.2.1",  # RFC 5737: no host has it
            redis_db=0,
            broker_host="127.0.0.1",
            redis_sentinels=[*others, f"127.0.0.1:{sentinel}"],
            redis_sentinel_name="main",
        )

    return made


@contextlib.asynccontextmanager
async def connected(settings):
    """Both ways to the cache: the pipeline and the client."""
    pipeline, client = connect_pipeline(settings), connect_redis(settings)
    try:
        yield pipeline, client
    finally:
        await pipeline.aclose()
        await client.aclose()


async def reads(client, value):
    try:
        return await client.get("key") == value
    except RedisError:
        return False


async def writes(pipeline, value):
    try:
        return await pipeline.ask(("SET", "key", value), ("GET", "key")) == [b"OK", value]
    except RedisAway:
        return False


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_asks_go_on_at_the_replica_when_the_primary_is_gone(
    by_sentinel, primary, replica, logged, how
):
    async with contextlib.AsyncExitStack() as stack:
        pipeline, client = await stack.enter_async_context(connected(by_sentinel()))
        await until(lambda: writes(pipeline, b"before"))
        await until(lambda: reads(client, b"before"))
        await until(lambda: replica.client.get("key") == "before")
        if how == "killed":
            primary.kill()
        else:
            stack.enter_context(primary.frozen())
        assert not await writes(pipeline, b"lost")
        await until(lambda: writes(pipeline, b"after"))
        assert replica.client.info("replication")["role"] == "master"
        assert replica.client.get("key") == "after"
        await until(lambda: reads(client, b"after"))
    assert [message for message, _ in logged()][:2] == ["Redis is away", "Redis is back"]


async def test_a_sentinel_that_is_silent_and_one_that_is_gone_do_not_keep_anyone_away(
    by_sentinel, unused_tcp_port
):
    async with listening(silent) as port:
        settings = by_sentinel(f"127.0.0.1:{unused_tcp_port}", f"127.0.0.1:{port}")
        async with connected(settings) as (pipeline, client):
            await until(lambda: writes(pipeline, b"value"), seconds=5)
            await until(lambda: reads(client, b"value"), seconds=5)


async def test_it_leaves_no_task_and_no_descriptor_behind(by_sentinel):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    async def use():
        async with connected(by_sentinel()) as (pipeline, client):
            await until(lambda: writes(pipeline, b"value"))
            await until(lambda: reads(client, b"value"))

    await use()
    tasks = asyncio.all_tasks()
    before = descriptors()
    await use()
    await until(lambda: asyncio.all_tasks() == tasks)
    await until(lambda: descriptors() <= before)
