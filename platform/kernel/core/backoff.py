"""Backoff: a growing delay between attempts while a dependency fails."""

import random
import time
from typing import Final

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 5.0


class Backoff:
    """Exponential backoff from 0.5 s to 5 s, with up to half as jitter; a success resets it.

    `longest` replaces the upper limit of 5 s.
    """

    def __init__(self, *, longest: float = _LONGEST_SECONDS) -> None:
        self._longest = longest
        self._failures = 0
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether the delay has passed, so that the next attempt may start."""
        return time.monotonic() >= self._until

    def succeeded(self) -> None:
        """Reset the backoff."""
        self._failures, self._until = 0, 0.0

    def failed(self) -> None:
        """Record a failure and start the next delay."""
        seconds = min(self._longest, _FIRST_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._until = time.monotonic() + seconds * (1 - random.random() / 2)  # noqa: S311 - jitter
