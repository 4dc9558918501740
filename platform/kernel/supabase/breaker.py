"""A circuit breaker: it stops calls to a failing server, then lets one probe through."""

import logging
import time
from typing import Final, Literal

from kernel.core.metrics import BREAKER_OPEN, BREAKER_OPENINGS

log = logging.getLogger(__name__)

FAILURES: Final = 5
OPEN_SECONDS: Final = 1.0


class CircuitOpen(Exception):
    """The call was not made: a breaker is open, and may let a probe through in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class CircuitBreaker:
    """Lets all calls through while closed, none while open, and one probe while half-open.

    FAILURES consecutive failures open it. After OPEN_SECONDS the next call is the probe: a response
    closes the breaker, a failure opens it again. It counts consecutive failures, not a failure rate
    in a window: when a busy server stops answering, a window is full of good responses for long,
    while consecutive failures start with the first time-out; and one response proves that the
    server works.

    An outcome counts only if the state has not changed since the call started: calls from before an
    outage time out after the server is back, and must not open the breaker again.

    For one event loop. After M. Nygard, "Release It!";
    https://martinfowler.com/bliki/CircuitBreaker.html
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0
        self._changes = 0
        self._until: float | None = None  # None: closed
        self._opened = 0.0
        self._probing = False
        self._gauge, self._openings = BREAKER_OPEN.labels(name), BREAKER_OPENINGS.labels(name)

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """The state: closed, open or half-open."""
        if self._until is None:
            return "closed"
        return "half-open" if self._probing or time.monotonic() >= self._until else "open"

    def check(self) -> None:
        """Raise CircuitOpen if a call would be refused now."""
        if self._until is None:
            return
        wait = self._until - time.monotonic()
        if wait > 0 or self._probing:
            raise CircuitOpen(max(wait, 0.0))

    def admit(self) -> int:
        """Let a call through and return its ticket, which must always be passed to `settle`.

        Raises CircuitOpen.
        """
        self.check()
        if self._until is not None:
            self._probing = True
            self._changes += 1
        return self._changes

    def settle(self, ticket: int, *, answered: bool | None) -> None:
        """Record a call's outcome: whether the server answered, or None if that is unknown.

        It is unknown if the caller was cancelled first: that only allows another probe.
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
        self._gauge.set(1)
        self._openings.inc()
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
        self._gauge.set(0)
        self._changes += 1
