"""Single flight: of those who want the same at the same time one loads, and all get what it loads.

After Go's golang.org/x/sync/singleflight.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Loads under way in this process, by what they load."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    def begin(
        self, what: Hashable, load: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[asyncio.Task[T], bool]:
        """Return the load that is under way, or begin it; and whether it has begun only now.

        It belongs to nobody who waits: `await asyncio.shield(…)`, or leave it to itself.
        """
        task = self._tasks.get(what)
        begins = task is None
        if task is None:
            task = self._tasks[what] = asyncio.create_task(load())
            task.add_done_callback(lambda done: self._end(what, done))
        return task, begins

    async def aclose(self) -> None:
        """End all loads."""
        while tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _end(self, what: Hashable, done: "asyncio.Task[T]") -> None:
        del self._tasks[what]
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits any more
