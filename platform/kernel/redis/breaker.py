"""The circuit breaker of the Redis connection."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from kernel.core.metrics import BREAKER_OPEN, BREAKER_OPENINGS
from kernel.redis.pipeline import RedisAway

log = logging.getLogger(__name__)

_FIRST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 1.0
_MOST_DOUBLINGS: Final = 10
_STEADY_SECONDS: Final = 5.0
_CLOSED: Final = "closed"


class ConnectionBreaker:
    """A circuit breaker: closed while Redis answers.

    While the breaker is open, callers fail immediately; one background task reconnects with
    jittered backoff (0.1 s, up to 1 s): "full jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ `probe` tries once,
    and raises RedisAway. If Redis fails again within 5 s of its return, the backoff continues from
    its last value.

    One failure opens it: to wait for a second failure would make another request wait in vain.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], name: str = "redis") -> None:
        self._probe = probe
        self._gauge, self._openings = BREAKER_OPEN.labels(name), BREAKER_OPENINGS.labels(name)
        self._reason: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._tries, self._back_at = 0, float("-inf")
        self._closed = False

    def check(self) -> None:
        """Raise RedisAway while it is open."""
        if self._reason is not None:
            raise RedisAway(self._reason)

    def trip(self, reason: str) -> None:
        """Open it, and start to reconnect."""
        if self._reason is not None:
            return
        self._reason = reason
        self._gauge.set(1)
        self._openings.inc()
        log.warning("Redis is away", extra={"reason": reason})
        if time.monotonic() - self._back_at > _STEADY_SECONDS:
            self._tries = 0
        self._task = asyncio.create_task(self._come_back())

    async def aclose(self) -> None:
        """Open it permanently, and cancel its task."""
        self._reason, self._closed = _CLOSED, True
        # Repeat the cancellation: a probe that ends in the same moment can swallow it.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_FIRST_SECONDS)

    async def _come_back(self) -> None:
        while not self._closed:
            longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**self._tries)
            self._tries = min(self._tries + 1, _MOST_DOUBLINGS)
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter
            try:
                await self._probe()
            except RedisAway as error:
                self._openings.inc()
                self._reason = _CLOSED if self._closed else str(error)
            else:
                break
        self._task = None
        if not self._closed:
            self._reason = None
            self._gauge.set(0)
            self._back_at = time.monotonic()
            log.warning("Redis is back")
