"""The clocks of this process, for tests to stop and to move: docs/how-to/freeze-time.md."""

from collections.abc import Iterator
from typing import Final

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, TickingDateTimeFactory

# pytest's own: it begins to time a test before the clocks stand still, and ends while they do.
_IGNORED: Final = ["_pytest.timing"]


@pytest.fixture
def frozen_time() -> Iterator[FrozenDateTimeFactory]:
    """Stops the clocks at the present: `frozen_time.tick(5)` lets five seconds pass."""
    with freeze_time(real_asyncio=True, ignore=_IGNORED) as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen


@pytest.fixture
def movable_time() -> Iterator[TickingDateTimeFactory]:
    """Lets the clocks go on; `movable_time.tick(5)` puts them forward by five seconds."""
    with freeze_time(real_asyncio=True, ignore=_IGNORED, tick=True) as moved:
        assert isinstance(moved, TickingDateTimeFactory)
        yield moved
