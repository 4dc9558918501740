"""The pipeline over a redis-py client: for Sentinel, and all else that redis-py supports."""

import asyncio
from itertools import islice
from typing import Any, Final

from redis.asyncio import Redis

from kernel.redis.breaker import ConnectionBreaker
from kernel.redis.pipeline import (
    DEADLINE_SECONDS,
    MOST_ASKS,
    UNHURRIED_SECONDS,
    Command,
    RedisAway,
    in_time,
)

_MOST: Final = 500  # requests per pipeline: a longer one would block loop and server

_Asked = tuple[tuple[Command, ...], asyncio.Future[list[Any]]]


class OverRedisPy:
    """Sends the commands of many requests over one connection, with a deadline of `seconds`.

    While one pipeline is in progress, commands wait for the next one. So a burst of a thousand
    requests needs a few pipelines, not a thousand connections that take longer to open than the
    deadline. The client should use RESP 2, and have no shorter time-outs of its own.
    """

    def __init__(self, redis: Redis, *, seconds: float = DEADLINE_SECONDS) -> None:
        self._redis, self._seconds = redis, seconds
        self._waiting: list[_Asked] = []
        self._sender: asyncio.Task[None] | None = None
        self._breaker = ConnectionBreaker(self._probe)

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command: see Pipeline."""
        self._breaker.check()
        if len(self._waiting) >= MOST_ASKS:
            raise RedisAway("the queue is full")
        replies: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, replies))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await replies

    async def aclose(self) -> None:
        """Close the connection; waiting callers get RedisAway."""
        await self._breaker.aclose()
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})
        self._give_up(self._waiting, "closed")  # if the sender task had not started
        await self._redis.aclose()

    async def _send(self) -> None:
        asked: list[_Asked] = []
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                commands = [one for commands, _ in asked for one in commands]
                replies = iter(await in_time(self._fly(commands), self._seconds))
                for commands_of_one, future in asked:
                    own = list(islice(replies, len(commands_of_one)))
                    if not future.done():  # or the caller was cancelled
                        future.set_result(own)
        except Exception as error:  # noqa: BLE001 - any error: no caller may wait forever
            reason = _reason(error)
            self._breaker.trip(reason)
            self._give_up([*asked, *self._waiting], reason)
        except asyncio.CancelledError:
            self._give_up([*asked, *self._waiting], "closed")
            raise
        finally:
            self._sender = None

    def _give_up(self, asked: list[_Asked], reason: str) -> None:
        self._waiting = []
        for _, future in asked:
            if not future.done():
                future.set_exception(RedisAway(reason))

    async def _probe(self) -> None:
        try:
            # The longer deadline: a silent Sentinel takes a time-out of its own.
            await in_time(self._fly([("PING",)]), UNHURRIED_SECONDS)
        except Exception as error:
            raise RedisAway(_reason(error)) from error

    async def _fly(self, commands: list[Command]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.response_callbacks = {}  # which would convert the replies
            for command in commands:
                pipe.execute_command(*command)
            return await pipe.execute(raise_on_error=False)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, RedisAway) else f"{type(error).__name__}: {error}"
