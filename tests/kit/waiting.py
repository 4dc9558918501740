"""Waiting on conditions, never for a time."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Return what the condition returns as soon as it is true; it may be a coroutine function.

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
