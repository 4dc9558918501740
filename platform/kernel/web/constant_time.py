"""Constant-time delays, for responses whose time must not reveal what their content hides."""

import asyncio
import math
import time


class ConstantTimeDelay:
    """Makes outcomes with different amounts of work take the same time.

    Create it when the work starts; `await delay.wait()` returns at the next whole multiple of
    `step` seconds after that. Choose a step longer than the slowest usual outcome.
    """

    def __init__(self, step: float) -> None:
        self._step, self._begun = step, time.perf_counter()

    async def wait(self) -> None:
        """Wait for the next step."""
        passed = time.perf_counter() - self._begun
        await asyncio.sleep(math.ceil(passed / self._step) * self._step - passed)
