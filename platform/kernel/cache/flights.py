"""Single flight: concurrent callers with the same key share one load and its result.

After Go's golang.org/x/sync/singleflight.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Loads in progress in this process, by key."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    def begin(
        self, what: Hashable, load: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[asyncio.Task[T], bool]:
        """Return the load in progress, or start one; and whether this call started it.

        No waiter owns the load: wait with `await asyncio.shield(…)`, or do not wait at all.
        """
        task = self._tasks.get(what)
        begins = task is None
        if task is None:
            task = self._tasks[what] = asyncio.create_task(load())
            task.add_done_callback(lambda done: self._end(what, done))
        return task, begins

    async def aclose(self) -> None:
        """Cancel all loads."""
        while tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _end(self, what: Hashable, done: "asyncio.Task[T]") -> None:
        del self._tasks[what]
        if not done.cancelled():
            done.exception()  # retrieve it: asyncio warns about an exception that no waiter reads
