"""Interleavings on demand: actors whose steps happen one at a time, in the order of a test."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import chain, repeat
from typing import Any, Final, TypeVar

from kernel.redis import Command, Pipeline

T = TypeVar("T")
# More turns of the loop than anything of ours needs from one step to where it waits for the next.
_TURNS: Final = 20
LAST: Final = -1
"""The choice of whoever came last: mostly the one who went last, again."""


class Schedule:
    """Lets one step after the other happen: `choices` say which of those that wait is next."""

    def __init__(self, choices: Iterable[int]) -> None:
        self._choices = chain(choices, repeat(0))
        self._waiting: list[asyncio.Future[None]] = []
        self._something_waits = asyncio.Event()
        self._step_is_over = asyncio.Event()

    async def step(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do this when it is its turn; nothing else happens meanwhile."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._something_waits.set()
        await turn
        try:
            return await do()
        finally:
            self._step_is_over.set()

    async def pause(self) -> None:
        """Wait for a turn."""
        await self.step(lambda: asyncio.sleep(0))

    async def run(self, actors: Iterable[Coroutine[Any, Any, object]]) -> None:
        """Run them all to their end; raises what one of them raises."""
        async with asyncio.TaskGroup() as group:
            everyone = [group.create_task(actor) for actor in actors]
            order = group.create_task(self._order())
            await asyncio.wait(everyone)
            order.cancel()

    async def _order(self) -> None:
        while True:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            await self._something_waits.wait()
            turn = self._waiting.pop(next(self._choices) % len(self._waiting))
            if not self._waiting:
                self._something_waits.clear()
            if turn.cancelled():
                continue
            self._step_is_over.clear()
            turn.set_result(None)
            await self._step_is_over.wait()


class Scheduled:
    """A pipeline each of whose round trips is a step."""

    def __init__(self, pipeline: Pipeline, schedule: Schedule) -> None:
        self._pipeline, self._schedule = pipeline, schedule

    async def ask(self, *commands: Command) -> list[Any]:
        """Ask when it is its turn."""
        return await self._schedule.step(lambda: self._pipeline.ask(*commands))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pipeline.aclose()
