"""A pause after failures: what is away is asked again soon, but not at every turn."""

import random
import time
from typing import Final

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 5.0


class Backoff:
    """Doubles from 0.5 s to 5 s with each failure in a row, less up to a half; success ends it.

    `longest` is another limit than those 5 s.
    """

    def __init__(self, *, longest: float = _LONGEST_SECONDS) -> None:
        self._longest = longest
        self._failures = 0
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time to try."""
        return time.monotonic() >= self._until

    def succeeded(self) -> None:
        """Go on without a pause."""
        self._failures, self._until = 0, 0.0

    def failed(self) -> None:
        """Wait before the next try."""
        seconds = min(self._longest, _FIRST_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._until = time.monotonic() + seconds * (1 - random.random() / 2)  # noqa: S311 - a spread
