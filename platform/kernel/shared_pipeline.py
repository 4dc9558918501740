"""Redis for the hot path: what all requests of one moment ask goes out as one pipeline."""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis

SECONDS: Final = 0.2
_PARTS: Final = 4
_MOST: Final = 500  # commands of one pipeline: longer ones would hold up loop and server

Word = str | int | bytes
_Asked = tuple[tuple[Word, ...], asyncio.Future[Any]]


class RedisAway(Exception):
    """Redis was refused, broke off, or did not answer in time; the message says which."""


class SharedPipeline:
    """Commands of many requests over one connection, with one deadline: 0.2 s.

    While one pipeline is under way, commands wait for the next: a burst of a thousand requests is
    a few pipelines, and not a thousand connections whose making outlasts every deadline.
    The client should have no time-outs of its own that are shorter.
    """

    def __init__(self, redis: Redis, *, seconds: float = SECONDS) -> None:
        self._redis, self._seconds = redis, seconds
        self._waiting: list[_Asked] = []
        self._sender: asyncio.Task[None] | None = None

    async def ask(self, *command: Word) -> Any:
        """Return the reply to a command.

        Raises RedisAway, or redis.exceptions.ResponseError where Redis refuses the command.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await reply

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
                replies = await self._in_time([command for command, _ in asked])
                for (_, future), reply in zip(asked, replies, strict=True):
                    _settle(future, reply)
        except BaseException as error:  # whatever it is: nobody is to wait forever
            self._give_up([*asked, *self._waiting], f"{type(error).__name__}: {error}")
            if not isinstance(error, Exception):
                raise
        finally:
            self._sender = None

    def _give_up(self, asked: list[_Asked], reason: str) -> None:
        self._waiting = []
        for _, future in asked:
            _settle(future, RedisAway(reason))

    async def _in_time(self, commands: list[tuple[Word, ...]]) -> list[Any]:
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

    async def _fly(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return await pipe.execute(raise_on_error=False)


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
