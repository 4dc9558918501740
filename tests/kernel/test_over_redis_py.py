"""What many requests ask at once goes to Redis as few pipelines, with one deadline."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from kernel.redis import RedisAway, connect_redis
from kernel.redis.over_redis_py import OverRedisPy

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking_to(settings, **changes) -> AsyncIterator[OverRedisPy]:
    settings = settings.model_copy(update=changes)
    pipeline = OverRedisPy(connect_redis(settings, timeout=None))
    yield pipeline
    await pipeline.aclose()


@contextlib.asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    """Something that is no Redis; yields its port."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await talk(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    for writer in writers:
        writer.close()
    await listening.wait_closed()


async def ask(pipeline: OverRedisPy, *command: str) -> object:
    (reply,) = await pipeline.ask(command)
    if isinstance(reply, ResponseError):
        raise reply
    return reply


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def talking_rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def test_each_gets_the_own_reply(settings):
    async with talking_to(settings) as pipeline:
        replies = await asyncio.gather(*(ask(pipeline, "ECHO", str(n)) for n in range(1000)))
    assert replies == [str(number).encode() for number in range(1000)]


async def test_a_burst_of_a_thousand_needs_one_connection(settings, valkey):
    async with talking_to(settings, redis_port=valkey.port, redis_db=0) as pipeline:
        before = valkey.client.info("stats")["total_connections_received"]
        await asyncio.gather(*(ask(pipeline, "INCR", "n") for _ in range(1000)))
        await asyncio.gather(*(ask(pipeline, "INCR", "n") for _ in range(1000)))
    assert valkey.client.get("n") == "2000"
    assert valkey.client.info("stats")["total_connections_received"] == before + 1


async def test_a_refused_command_is_its_own_askers_error(settings):
    async with talking_to(settings) as pipeline:
        answers = await asyncio.gather(
            ask(pipeline, "ECHO", "a"),
            ask(pipeline, "NO SUCH COMMAND"),
            ask(pipeline, "ECHO", "b"),
            return_exceptions=True,
        )
    assert (answers[0], answers[2]) == (b"a", b"b")
    assert isinstance(answers[1], ResponseError)


@pytest.mark.parametrize("talk", [silent, talking_rubbish, hanging_up])
async def test_whatever_goes_wrong_is_one_error_in_time_for_everyone(settings, talk):
    async with server(talk) as port, talking_to(settings, redis_port=port) as pipeline:
        started = time.monotonic()
        first = asyncio.create_task(ask(pipeline, "ECHO", "first"))
        await asyncio.sleep(0)
        answers = await asyncio.gather(
            first, *(ask(pipeline, "ECHO", "more") for _ in range(10)), return_exceptions=True
        )
        assert time.monotonic() - started < 2
    assert {type(answer) for answer in answers} == {RedisAway}


async def test_nobody_listens(settings, unused_tcp_port):
    async with talking_to(settings, redis_port=unused_tcp_port) as pipeline:
        with pytest.raises(RedisAway):
            await ask(pipeline, "ECHO", "a")


async def test_a_late_reply_is_never_taken_for_that_of_another_command(settings, valkey):
    async with talking_to(settings, redis_port=valkey.port, redis_db=0) as pipeline:
        await ask(pipeline, "ECHO", "before")
        with valkey.frozen(), pytest.raises(RedisAway):
            await ask(pipeline, "ECHO", "late")
        assert await ask(pipeline, "ECHO", "after") == b"after"


async def test_who_goes_away_takes_nobody_along(settings):
    async with talking_to(settings) as pipeline:
        gone = asyncio.create_task(ask(pipeline, "ECHO", "gone"))
        stays = asyncio.create_task(ask(pipeline, "ECHO", "stays"))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == b"stays"
        assert await ask(pipeline, "ECHO", "later") == b"later"


async def test_a_busy_loop_does_not_take_its_own_delay_for_that_of_redis(settings):
    async with talking_to(settings) as pipeline:
        await ask(pipeline, "ECHO", "connected")
        asked = asyncio.create_task(ask(pipeline, "ECHO", "in time"))

        def hold_up(times: int) -> None:
            time.sleep(0.3)  # longer than the deadline
            if times:
                asyncio.get_running_loop().call_soon(hold_up, times - 1)

        await asyncio.sleep(0)
        hold_up(2)
        assert await asked == b"in time"


async def test_who_waits_when_it_closes_is_told():
    async with server(silent) as port:
        pipeline = OverRedisPy(Redis(port=port))
        asked = asyncio.create_task(ask(pipeline, "ECHO", "a"))
        await asyncio.sleep(0)
        await pipeline.aclose()
        with pytest.raises(RedisAway):
            await asked
