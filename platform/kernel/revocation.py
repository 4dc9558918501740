"""Whether a session has ended although its access tokens are still valid by themselves.

The database writes down every session that ends, whoever ends it. Redis holds a copy for fast
look-ups: one sorted set of session ids, scored by when they may be forgotten, with a member
`loaded` that says the copy is whole. Without it (Redis was restarted or emptied) it is loaded anew.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.cache import CacheUnavailable
from kernel.errors import ApiError, Unauthenticated
from kernel.pause import Pause
from kernel.supabase import AsService

log = logging.getLogger(__name__)

KEY: Final = "revoked"
LOADED: Final = "loaded"
# How late a session may be known to have ended while Redis is away.
LOCAL_SECONDS: Final = 2.0
_DAY_SECONDS: Final = 24 * 3600
_NEVER: Final = float("-inf")


class SessionEnded(Unauthenticated):
    """The token is valid, but its session has ended: logout, new password, deletion."""

    code = "SESSION_ENDED"
    message = "This session has ended: log in again."


class Revocations:
    """Ended sessions: in Redis and, while that is away, in a list of this process.

    The list is read from the database at most every 2 s; while that is away too, the last one
    counts. A process that has never had one refuses with 503 what it cannot check.
    """

    def __init__(self, redis: Redis, db: AsService) -> None:
        self._redis, self._db = redis, db
        self._pause = Pause()
        self._local: dict[UUID, float] = {}
        self._read_at = _NEVER
        self._reading: asyncio.Future[bool] | None = None

    async def check(self, session_id: UUID | None) -> None:
        """Return for a session that has not ended; raises SessionEnded, or Unavailable."""
        if session_id is None or await self._has_ended(session_id):
            raise SessionEnded

    async def publish(self, user_id: UUID) -> None:
        """Make known at once which sessions of a user have ended; call it before the answer.

        Where the database or Redis is away the relay does it later.
        """
        try:
            await self._add(_scores(await self._db.rpc("revoked_sessions", of_user=str(user_id))))
        except (ApiError, CacheUnavailable):
            log.warning("Ended sessions are made known later", extra={"user_id": str(user_id)})

    async def add(self, session_ids: Iterable[UUID]) -> None:
        """Make known that these sessions have ended. Raises CacheUnavailable."""
        await self._add(dict.fromkeys(session_ids, time.time() + _DAY_SECONDS))

    async def _has_ended(self, session_id: UUID) -> bool:
        if self._pause.over:
            try:
                return await self._look_up(session_id)
            except (RedisError, OSError, CacheUnavailable) as error:
                self._pause.failed()
                log.warning("Sessions are checked without Redis", extra={"reason": repr(error)})
        await self._read(since=time.monotonic() - LOCAL_SECONDS)
        return session_id in self._local

    async def _look_up(self, session_id: UUID) -> bool:
        loaded, ended = await self._redis.zmscore(KEY, [LOADED, str(session_id)])
        if loaded is None:
            # What is read must be newer than the loss: it may have taken what was just added.
            if await self._read(since=time.monotonic()):
                await self._add(self._local, whole=True)
            return session_id in self._local
        self._pause.succeeded()
        return ended is not None

    async def _add(self, ended: Mapping[UUID, float], *, whole: bool = False) -> None:
        scores: dict[str, Any] = {str(session_id): at for session_id, at in ended.items()}
        if whole:
            scores[LOADED] = float("inf")
        if not scores:
            return
        if self._read_at != _NEVER:  # the relay never reads it
            self._local.update(ended)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(KEY, scores)
                pipe.zremrangebyscore(KEY, 0, time.time())
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise CacheUnavailable from error

    async def _read(self, *, since: float) -> bool:
        """Read the list unless that was begun since then: once, for all who wait.

        Return False where the database is away and the last list counts. Raises Unavailable where
        there is none.
        """
        while self._read_at < since:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.ensure_future(self._reread())
            if not await asyncio.shield(self._reading):
                return False
        return True

    async def _reread(self) -> bool:
        begun = time.monotonic()
        try:
            self._local = _scores(await self._db.rpc("revoked_sessions"))
        except ApiError:
            if self._read_at == _NEVER:
                raise
            log.warning("Ended sessions cannot be read: the last list counts")
            return False
        self._read_at = begun
        return True


def _scores(rows: Iterable[Mapping[str, str]]) -> dict[UUID, float]:
    return {UUID(row["id"]): datetime.fromisoformat(row["expires_at"]).timestamp() for row in rows}
