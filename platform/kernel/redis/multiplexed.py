"""The pipeline over our own connection: a GET costs a twelfth of redis-py's CPU time."""

import asyncio
from typing import Any

from kernel.redis.breaker import ConnectionBreaker
from kernel.redis.connecting import Endpoint, connect
from kernel.redis.connection import RedisConnection
from kernel.redis.pipeline import DEADLINE_SECONDS, MOST_ASKS, UNHURRIED_SECONDS, Command, RedisAway


class Multiplexed:
    """Sends the commands of many requests over one connection, with a deadline of `seconds`.

    It connects at the first command, and immediately after the connection was lost; callers wait
    for that within the deadline. If connecting fails, or Redis misses a deadline, the breaker opens
    and callers fail immediately until Redis is back.
    """

    def __init__(
        self, endpoint: Endpoint, *, seconds: float = DEADLINE_SECONDS, name: str = "redis"
    ) -> None:
        self._endpoint, self._seconds = endpoint, seconds
        self._connection: RedisConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._in_line = 0  # for a connection
        self._breaker = ConnectionBreaker(lambda: self._connect(UNHURRIED_SECONDS), name)

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command: see Pipeline."""
        if not commands:
            return []
        connection = self._connection or await self._connected()
        return await connection.ask(commands)

    async def aclose(self) -> None:
        """Close the connection; waiting callers get RedisAway."""
        await self._breaker.aclose()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None

    async def _connected(self) -> RedisConnection:
        self._breaker.check()
        if self._in_line >= MOST_ASKS:
            raise RedisAway("the queue is full")
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._try())
        self._in_line += 1
        try:
            await asyncio.wait({self._connecting})  # wait() leaves it running if cancelled
        finally:
            self._in_line -= 1
        self._breaker.check()
        if self._connection is None:
            raise RedisAway("the connection was lost immediately")
        return self._connection

    async def _try(self) -> None:
        try:
            await self._connect(self._seconds)
        except RedisAway as error:
            self._breaker.trip(str(error))
        finally:
            self._connecting = None

    async def _connect(self, seconds: float) -> None:
        connection = await connect(self._endpoint, seconds=self._seconds, connect_seconds=seconds)
        connection.serve(self._ended)
        self._connection = connection

    def _ended(self, reason: str, at_fault: bool) -> None:  # noqa: FBT001 - a callback
        self._connection = None
        if at_fault:
            self._breaker.trip(reason)
