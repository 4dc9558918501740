"""Calls that concurrent tasks make together: one call for what has collected."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Joined(Generic[Item, Result]):
    """Passes the items of concurrent tasks to `call`, at most `most` at a time.

    While a call is under way, the next items collect: one that comes alone does not wait. `call`
    returns a result for each item, in their order; its error goes to all of them. For one event
    loop.
    """

    def __init__(
        self, call: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, most: int = 100
    ) -> None:
        self._call, self._most = call, most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        """Return the result for this item. Raises the errors of the call."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            # In a context of its own: the call belongs to no single one of the tasks.
            self._task = asyncio.create_task(self._work(), context=contextvars.Context())
        return await answer

    async def _work(self) -> None:
        await asyncio.sleep(0)  # the tasks that are ready ask, too
        while self._waiting:
            batch = self._waiting[: self._most]
            del self._waiting[: self._most]
            await self._together(batch)
        self._task = None

    async def _together(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        asked = [pair for pair in batch if not pair[1].done()]  # some may have been cancelled
        try:
            results = await self._call([item for item, _ in asked]) if asked else ()
        except Exception as error:  # noqa: BLE001 - raised where it was asked
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(asked, results, strict=True):
            if not answer.done():
                answer.set_result(result)
