"""Waits for conditions, never for a time; and makes many calls concurrently."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Return the condition's value as soon as it is true; it may be a coroutine function.

    Raises TimeoutError after `seconds`.
    """
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)


async def many(times: int, call: Callable[[], Awaitable[T]], *, at_once: int = 50) -> list[T]:
    """Return the results of many calls, of which `at_once` run at a time.

    Application and client share an event loop here. With more calls at once, the loop itself would
    take longer than any deadline.
    """
    places = asyncio.Semaphore(at_once)

    async def one() -> T:
        async with places:
            return await call()

    return list(await asyncio.gather(*(one() for _ in range(times))))
