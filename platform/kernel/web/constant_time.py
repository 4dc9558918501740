"""Answers whose time must not tell what their words do not tell."""

import asyncio
import math
import time


class ConstantTimeDelay:
    """Lets outcomes that differ in work take the same time.

    Made when the work begins; `await pace.wait()` returns at the next whole multiple of `step`
    seconds since then. So the step is to be longer than the longest of the outcomes usually is.
    """

    def __init__(self, step: float) -> None:
        self._step, self._begun = step, time.perf_counter()

    async def wait(self) -> None:
        """Wait for the next step."""
        passed = time.perf_counter() - self._begun
        await asyncio.sleep(math.ceil(passed / self._step) * self._step - passed)
