"""Interleavings on demand: the steps of actors happen one at a time, in an order that tests set."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import chain, repeat
from typing import Any, Final, TypeVar

from kernel.redis import Command, Pipeline

T = TypeVar("T")
# More turns of the event loop than our code needs from one step to the next wait.
_TURNS: Final = 20
LAST: Final = -1
"""Chooses the newest waiter: mostly the actor of the last step, which continues."""


class Schedule:
    """Runs one step at a time: `choices` says which waiting step is next."""

    def __init__(self, choices: Iterable[int]) -> None:
        self._choices = chain(choices, repeat(0))
        self._waiting: list[asyncio.Future[None]] = []
        self._something_waits = asyncio.Event()
        self._step_is_over = asyncio.Event()

    async def step(self, do: Callable[[], Awaitable[T]]) -> T:
        """Run this step when its turn comes; no other step runs meanwhile."""
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
        """Run all actors to their end; raise an exception that one of them raises."""
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
    """A pipeline whose round trips are steps of a schedule."""

    def __init__(self, pipeline: Pipeline, schedule: Schedule) -> None:
        self._pipeline, self._schedule = pipeline, schedule

    async def ask(self, *commands: Command) -> list[Any]:
        """Send the commands when the turn comes."""
        return await self._schedule.step(lambda: self._pipeline.ask(*commands))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pipeline.aclose()
