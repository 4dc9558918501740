"""The deadline of what is asked of Redis, by a clock that the loop's own delays do not run."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from kernel.redis.pipeline import RedisAway

SECONDS: Final = 0.1
UNHURRIED_SECONDS: Final = 1.0  # where nobody waits
_PARTS: Final = 10

T = TypeVar("T")


async def in_time(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what the work returns; raises what it raises, and RedisAway after `seconds`.

    The time is counted in parts, between which the loop reads what has come: one that was busy for
    longer than the deadline must not take its own delay for that of Redis.
    """
    task, part = asyncio.ensure_future(work), seconds / _PARTS
    try:
        for _ in range(_PARTS):
            if (await asyncio.wait({task}, timeout=part))[0]:
                return task.result()
        raise RedisAway(f"no answer in {seconds} s")
    finally:
        if task.cancel() and (await asyncio.wait({task}, timeout=part))[0] and not task.cancelled():
            task.exception()  # of the end that was asked for: nobody else looks at it
