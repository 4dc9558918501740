"""One refresh of a token at a time: in this process, and in the fleet.

Auth handles parallel refreshes of one token one after the other. Without this, one client with many
of them would occupy Auth, and time-outs would stop refreshes of other users.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

from kernel.cache.lookup import Flights
from kernel.core.derived_key import derived_key
from kernel.errors import Unavailable
from kernel.redis import Command, Pipeline, RedisAway, give_lease_back, take_lease

LEASE_MS: Final = 4000  # longer than a refresh takes; a process that died holds it no longer
WAIT_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.05
T = TypeVar("T")


class RefreshBusy(Unavailable):
    """Other processes refresh the same token at this moment."""

    code = "REFRESH_BUSY"
    message = "This session is being refreshed by many requests: try again in a second."
    retry_after = 1


class Refreshes:
    """Runs refreshes: `await refreshes.one_at_a_time(token, work)`.

    In a process, concurrent calls with one token share one run and its result (single flight). A
    lease in Redis lets one process run at a time; without Redis, processes do not wait. The lease's
    key is an HMAC of the token (with a key derived from `secret`), so that Redis holds no token.
    """

    def __init__(self, redis: Pipeline, secret: str) -> None:
        self._redis = redis
        self._key = derived_key(secret, "refreshes")
        self._flights: Flights[Any] = Flights()

    async def one_at_a_time(self, token: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `work`, or of the run in progress with this token.

        Raises RefreshBusy if other processes take longer than WAIT_SECONDS, and the errors of
        `work`.
        """
        name = hmac.digest(self._key, token.encode(), hashlib.sha256).hex()

        async def alone() -> T:
            async with self._lease(f"refresh:{name}"):
                return await work()

        flight, _ = self._flights.begin(name, alone)
        return cast("T", await asyncio.shield(flight))

    async def aclose(self) -> None:
        """Cancel the refreshes in progress."""
        await self._flights.aclose()

    @asynccontextmanager
    async def _lease(self, key: str) -> AsyncIterator[None]:
        mine, until = secrets.token_hex(8), time.monotonic() + WAIT_SECONDS
        while not await self._granted(take_lease(key, mine, LEASE_MS)):
            if time.monotonic() >= until:
                raise RefreshBusy
            await asyncio.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            await self._granted(give_lease_back(key, mine))

    async def _granted(self, command: Command) -> bool:
        """Return whether Redis granted the lease; True if it is unavailable."""
        try:
            (reply,) = await self._redis.ask(command)
        except RedisAway:
            return True
        return reply is not None
