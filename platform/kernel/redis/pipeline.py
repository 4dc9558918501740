"""The hot path's interface to Redis: concurrent requests share one round trip with one deadline."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

DEADLINE_SECONDS: Final = 0.1
UNHURRIED_SECONDS: Final = 1.0  # for background work
_PARTS: Final = 10
MOST_ASKS: Final = 10_000  # waiting at a time: with more, Redis is not the bottleneck

Word = str | int | bytes
Command = tuple[Word, ...]
T = TypeVar("T")


class RedisAway(Exception):
    """Redis refused, disconnected, or did not answer in time; the message says which."""


class Pipeline(Protocol):
    """Sends the commands of many requests over one connection; one write has one deadline.

    Replies have the types of RESP 2: bytes, int, None, or a list of these.
    """

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command, in order.

        A command that Redis refuses has a redis.exceptions.ResponseError as its reply. Raises
        RedisAway: immediately while the breaker is open or the queue is full, otherwise within the
        deadline. After a deadline it is unknown which commands were executed.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; waiting callers get RedisAway."""
        ...


async def in_time(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return the result of the work; raise its error, or RedisAway after `seconds`.

    The time is counted in parts, and the loop reads received data between them. So a loop that was
    blocked for longer than the deadline does not blame Redis for its own delay.
    """
    task, part = asyncio.ensure_future(work), seconds / _PARTS
    try:
        for _ in range(_PARTS):
            if (await asyncio.wait({task}, timeout=part))[0]:
                return task.result()
        raise RedisAway(f"no answer in {seconds} s")
    finally:
        if task.cancel() and (await asyncio.wait({task}, timeout=part))[0] and not task.cancelled():
            task.exception()  # of the cancellation: nothing else reads it
