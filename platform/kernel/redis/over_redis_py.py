"""The pipeline over a client of redis-py: for Sentinel, and wherever that client can go."""

import asyncio
from itertools import islice
from typing import Any, Final

from redis.asyncio import Redis

from kernel.redis.pipeline import Command, RedisAway

SECONDS: Final = 0.2
_PARTS: Final = 4
_MOST: Final = 500  # requests of one pipeline: longer ones would hold up loop and server

_Asked = tuple[tuple[Command, ...], asyncio.Future[list[Any]]]


class OverRedisPy:
    """Commands of many requests over one connection, with one deadline: 0.2 s.

    While one pipeline is under way, commands wait for the next: a burst of a thousand requests is
    a few pipelines, and not a thousand connections whose making outlasts every deadline.
    The client should have no time-outs of its own that are shorter.
    """

    def __init__(self, redis: Redis, *, seconds: float = SECONDS) -> None:
        self._redis, self._seconds = redis, seconds
        self._waiting: list[_Asked] = []
        self._sender: asyncio.Task[None] | None = None

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command: see Pipeline."""
        replies: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, replies))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await replies

    async def aclose(self) -> None:
        """Close the connection; who still waits gets RedisAway."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})
        self._give_up(self._waiting, "closed")  # where the sender had not even begun
        await self._redis.aclose()

    async def _send(self) -> None:
        asked: list[_Asked] = []
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                replies = await self._in_time([one for commands, _ in asked for one in commands])
                following = iter(replies)
                for commands, future in asked:
                    own = list(islice(following, len(commands)))
                    if not future.done():  # or whoever asked has gone
                        future.set_result(own)
        except BaseException as error:  # whatever it is: nobody is to wait forever
            self._give_up([*asked, *self._waiting], f"{type(error).__name__}: {error}")
            if not isinstance(error, Exception):
                raise
        finally:
            self._sender = None

    def _give_up(self, asked: list[_Asked], reason: str) -> None:
        self._waiting = []
        for _, future in asked:
            if not future.done():
                future.set_exception(RedisAway(reason))

    async def _in_time(self, commands: list[Command]) -> list[Any]:
        flight = asyncio.ensure_future(self._fly(commands))
        try:
            # In parts, between which the loop reads what has come: one that was busy for longer
            # than the deadline must not take its own delay for that of Redis.
            for _ in range(_PARTS):
                if (await asyncio.wait({flight}, timeout=self._seconds / _PARTS))[0]:
                    return flight.result()
            raise TimeoutError(f"no answer in {self._seconds} s")
        finally:
            flight.cancel()

    async def _fly(self, commands: list[Command]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return await pipe.execute(raise_on_error=False)
