"""Revocation: whether a session has ended although its access tokens have not expired.

The database records every session that ends, whatever ended it. Redis has a copy for fast lookups
(kernel.identity.revoked_set). A process that finds the copy incomplete, or that lost Redis, reloads
it from the database first.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from kernel.cache import CacheUnavailable
from kernel.core.backoff import Backoff
from kernel.errors import ApiError, SessionRevoked
from kernel.identity.revoked_set import WHOLE_WITHOUT_IT, RevokedSet
from kernel.redis import Command
from kernel.supabase import AsService
from kernel.supabase.http import SupabaseUnavailable

log = logging.getLogger(__name__)

# Without Redis an end is known within 2 s: the list's age plus the time of a request.
LOCAL_SECONDS: Final = 1.5
_DAY_SECONDS: Final = 24 * 3600
_NEVER: Final = float("-inf")


class Revocations:
    """Ended sessions: in Redis or, while that is unavailable, in a list of this process.

    The list is read from the database at most every 1.5 s; if that is unavailable too, the last
    list is used. A process that never had a list refuses with 503. A session never restarts: a
    session that this process once knew as ended stays ended, whatever Redis says.
    """

    def __init__(self, redis: Redis, db: AsService) -> None:
        self._copy, self._db = RevokedSet(redis), db
        self._pause = Backoff()
        # Other processes may have lost Redis, too, and could not write the sessions that they
        # ended.
        self._doubtful = False
        self._loading, self._load_begun = asyncio.Lock(), _NEVER
        self._list: dict[UUID, float] = {}
        self._read_at = self._failed_at = _NEVER
        self._reading: asyncio.Future[bool] | None = None

    @staticmethod
    def command(session_id: UUID) -> Command:
        """Return the command that looks up a session, for any pipeline."""
        return RevokedSet.command(session_id)

    async def check(self, session_id: UUID | None, reply: object) -> None:
        """Return if the session has not ended; otherwise raise SessionRevoked, or Unavailable.

        `reply` is the reply of Redis to the command, or the error instead.
        """
        if session_id is None or session_id in self._list:
            raise SessionRevoked
        if reply == WHOLE_WITHOUT_IT and not self._doubtful:
            return  # nearly always
        if await self._has_ended(session_id, reply):
            raise SessionRevoked

    async def ended(self, session_ids: Collection[UUID]) -> set[UUID]:
        """Return which of the sessions have ended, for connections that stay open.

        Raises Unavailable where neither Redis nor the database ever answered.
        """
        reply: Exception = ResponseError("the copy is incomplete")
        if not self._doubtful:
            try:
                found = await self._copy.ended(session_ids)
            except CacheUnavailable as error:
                reply = error
            else:
                if found is not None:
                    return found | {one for one in session_ids if one in self._list}
        for one in session_ids:  # the first one reads the list
            await self._has_ended(one, reply)
            break
        return {one for one in session_ids if one in self._list}

    def refuse_known(self, session_id: UUID | None) -> None:
        """Raise SessionRevoked for a session that this process knows as ended, and for none."""
        if session_id is None or session_id in self._list:
            raise SessionRevoked

    async def publish(self, user_id: UUID) -> None:
        """Publish the ended sessions of a user; call it before the response.

        If the database or Redis is unavailable, the relay does it later.
        """
        try:
            ended: dict[str, float] = await self._db.rpc("revoked_sessions", of_user=str(user_id))
            self._remember(_scores(ended))
            await self._copy.add(_scores(ended))
        except (ApiError, CacheUnavailable) as error:
            self._doubtful |= isinstance(error, CacheUnavailable)
            log.warning("The relay publishes ended sessions later", extra={"user_id": str(user_id)})

    async def add(self, session_ids: Iterable[UUID]) -> None:
        """Publish these sessions as ended. Raises CacheUnavailable."""
        await self._copy.add(dict.fromkeys(session_ids, time.time() + _DAY_SECONDS))

    async def _has_ended(self, session_id: UUID, reply: object) -> bool:
        try:
            whole, ended = self._copy.read(reply)
            if ended or (whole and not self._doubtful):
                return ended
            if self._pause.over and await self._load(since=time.monotonic(), whole=whole):
                return session_id in self._list
        except CacheUnavailable as error:
            if not self._doubtful:
                reason = repr(error.__cause__)
                log.warning("Sessions are checked without Redis", extra={"reason": reason})
            self._pause.failed()
            self._doubtful = True
        await self._read(since=time.monotonic() - LOCAL_SECONDS)
        return session_id in self._list

    async def _load(self, *, since: float, whole: bool) -> bool:
        """Reload the copy, once for all waiting callers; return whether the list is new.

        The list must be read after the loss of the copy: the lost copy may have had newer entries.
        If the database is unavailable, a copy that was complete, or the last list, is used.
        """
        async with self._loading:
            if self._load_begun >= since:
                return False
            self._load_begun = time.monotonic()
            token = await self._copy.begin()
            try:
                if self._failed_at > since and self._read_at == _NEVER:
                    raise SupabaseUnavailable  # waiting callers do not retry
                if self._failed_at > since or not await self._read(since=time.monotonic()):
                    return True
            except ApiError:
                if whole:
                    return True
                raise
            if await self._copy.finish(token, self._list):
                self._doubtful = False
                self._pause.succeeded()
            return True

    async def _read(self, *, since: float) -> bool:
        """Read the list, once for all waiting callers.

        Returns False if the database is unavailable and the last list is used. Raises Unavailable
        if there is none.
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
            ended: dict[str, float] = await self._db.rpc("revoked_sessions")
        except ApiError:
            self._failed_at = time.monotonic()
            if self._read_at == _NEVER:
                raise
            log.warning("Ended sessions cannot be read: the last list is used")
            return False
        self._remember(_scores(ended))
        self._read_at = begun
        return True

    def _remember(self, ended: Mapping[UUID, float]) -> None:
        """Add to the list: keep the sessions that were published while it was read."""
        now = time.time()
        known = {session_id: at for session_id, at in self._list.items() if at > now}
        self._list = {**known, **ended}


def _scores(ended: Mapping[str, float]) -> dict[UUID, float]:
    return {UUID(session_id): at for session_id, at in ended.items()}
