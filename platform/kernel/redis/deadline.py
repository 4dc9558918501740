"""Deadlines for Redis that exclude delays of this process's own event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from kernel.redis.pipeline import RedisAway

SECONDS: Final = 0.1
UNHURRIED_SECONDS: Final = 1.0  # for background work
_PARTS: Final = 10

T = TypeVar("T")


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
