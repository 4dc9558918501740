"""The clocks of this process, for tests to stop and to move: docs/how-to/freeze-time.md."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, TickingDateTimeFactory

# pytest's own: it begins to time a test before the clocks stand still, and ends while they do.
_IGNORED: Final = ["_pytest.timing"]


def _real_time(_: asyncio.BaseEventLoop, clock: Callable[[], float] = time.monotonic) -> float:
    return clock()


# freezegun replaces one clock after the other, and loops of other threads run meanwhile (the local
# gateway's). With `real_asyncio` alone a sleep that begins in that moment would last for decades.
asyncio.BaseEventLoop.time = _real_time  # type: ignore[assignment, method-assign]


@pytest.fixture
def frozen_time() -> Iterator[FrozenDateTimeFactory]:
    """Stops the clocks at the present: `frozen_time.tick(5)` lets five seconds pass."""
    with freeze_time(real_asyncio=True, ignore=_IGNORED) as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen


@pytest.fixture
def movable_time() -> Iterator[TickingDateTimeFactory]:
    """Lets the clocks go on; `movable_time.tick(60)` puts them forward.

    Take big steps: freezegun forgets with each what has passed since the one before.
    """
    with freeze_time(real_asyncio=True, ignore=_IGNORED, tick=True) as moved:
        assert isinstance(moved, TickingDateTimeFactory)
        yield moved
