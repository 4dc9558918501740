"""Tests stop and move the clocks of this process: docs/how-to/freeze-time.md."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, TickingDateTimeFactory

# pytest's own: it starts to time a test before the clocks stop, and ends while they are stopped.
_IGNORED: Final = ["_pytest.timing"]


def _real_time(_: asyncio.BaseEventLoop, clock: Callable[[], float] = time.monotonic) -> float:
    return clock()


# freezegun replaces the clocks one by one, while event loops of other threads run (the local
# gateway's). With `real_asyncio` alone, a sleep that begins in that moment would last for decades.
asyncio.BaseEventLoop.time = _real_time  # type: ignore[assignment, method-assign]


@pytest.fixture
def frozen_time() -> Iterator[FrozenDateTimeFactory]:
    """Stops the clocks at the present time: `frozen_time.tick(5)` advances them by five seconds."""
    with freeze_time(real_asyncio=True, ignore=_IGNORED) as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen


@pytest.fixture
def movable_time() -> Iterator[TickingDateTimeFactory]:
    """Lets the clocks run; `movable_time.tick(60)` moves them forward.

    Move by large steps: with each step freezegun forgets the real time since the previous step.
    """
    with freeze_time(real_asyncio=True, ignore=_IGNORED, tick=True) as moved:
        assert isinstance(moved, TickingDateTimeFactory)
        yield moved
