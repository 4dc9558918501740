"""Wake-ups: who wrote wakes one of the relays that wait, so that its jobs start at once.

A relay also looks by itself each second, so a wake-up may get lost. It passes through the cache:
the API never talks to the broker.
"""

import asyncio
import contextlib
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.redis.pipeline import Pipeline, RedisAway

# A set of one member: however many wake-ups come, one waits, and Redis gives it to one relay.
KEY: Final = "relay:wake_up"
_MEMBER: Final = "1"
_GATHER_SECONDS: Final = 0.005  # one request may ask twice
_PAUSE_SECONDS: Final = 0.045
WAIT_SECONDS: Final = 10.0
_AWAY_SECONDS: Final = 1.0


class WakeUps:
    """Sends wake-ups: at most twenty a second from one process, whatever it writes."""

    def __init__(self, redis: Pipeline) -> None:
        self._redis = redis
        self._wanted = False
        self._sending: asyncio.Task[None] | None = None

    def send_soon(self) -> None:
        """Wake a relay within 50 ms, without waiting; if Redis is away, none is woken."""
        self._wanted = True
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def aclose(self) -> None:
        """Send no more."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})

    async def _send(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(_GATHER_SECONDS)
                self._wanted = False
                with contextlib.suppress(RedisAway):
                    await self._redis.ask(("ZADD", KEY, 0, _MEMBER))
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._sending = None


class Alarm:
    """Waits for a wake-up. `redis` must allow a reply to take longer than WAIT_SECONDS."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis

    async def rang(self) -> None:
        """Return when this relay is woken; while Redis is away it is not."""
        while True:
            try:
                if await self._redis.bzpopmin(KEY, WAIT_SECONDS) is not None:
                    return
            except (RedisError, OSError):
                await asyncio.sleep(_AWAY_SECONDS)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
