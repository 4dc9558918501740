"""A circuit breaker: who does not answer is left alone for a moment, then asked once."""

import logging
import time
from typing import Final, Literal

log = logging.getLogger(__name__)

FAILURES: Final = 5
OPEN_SECONDS: Final = 1.0


class CircuitOpen(Exception):
    """The call was not made: a breaker is open, and may let one through in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class CircuitBreaker:
    """Lets all calls through while it is closed, none while open, one while half-open: the probe.

    FAILURES failures in a row open it; OPEN_SECONDS later the next call is the probe, which closes
    it by an answer and opens it again by a failure. They are counted in a row, and not as a rate in
    a window: when a busy server goes silent, its window stays full of good answers for long, while
    a row of failures begins with the first that times out; and one answer proves that it lives.

    An outcome counts only where the breaker is as it was when the call began: calls that were under
    way when the server went silent time out after it is back, and must not open a breaker anew.

    For one event loop. After M. Nygard, "Release It!"; https://martinfowler.com/bliki/CircuitBreaker.html
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0
        self._changes = 0
        self._until: float | None = None  # None: closed
        self._opened = 0.0
        self._probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """What it does with calls."""
        if self._until is None:
            return "closed"
        return "half-open" if self._probing or time.monotonic() >= self._until else "open"

    def check(self) -> None:
        """Raise CircuitOpen where a call would not be let through now."""
        if self._until is None:
            return
        wait = self._until - time.monotonic()
        if wait > 0 or self._probing:
            raise CircuitOpen(max(wait, 0.0))

    def admit(self) -> int:
        """Let a call through and return its ticket, which `settle` must get whatever happens.

        Raises CircuitOpen.
        """
        self.check()
        if self._until is not None:
            self._probing = True
            self._changes += 1
        return self._changes

    def settle(self, ticket: int, *, answered: bool | None) -> None:
        """Take a call's outcome: whether the server answered, or None where nobody knows.

        Nobody knows when the caller went away first: that frees the place of a probe, no more.
        """
        if ticket != self._changes:
            return
        if answered is None:
            self._probing = False
        elif answered:
            self._failures = 0
            if self._until is not None:
                self._close()
        else:
            self._failures += 1
            if self._probing or self._failures >= FAILURES:
                self._open()

    def _open(self) -> None:
        now = time.monotonic()
        if self._until is None:
            self._opened = now
            log.error("A breaker opened: calls are refused", extra={"breaker": self._name})
        self._until, self._probing = now + OPEN_SECONDS, False
        self._changes += 1

    def _close(self) -> None:
        log.warning(
            "A breaker closed: calls go through again",
            extra={
                "breaker": self._name,
                "open_seconds": round(time.monotonic() - self._opened, 1),
            },
        )
        self._until, self._probing = None, False
        self._changes += 1
