"""Sessions in use, as Redis stores them: user and start time, never a token."""

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.core.caller import Caller

log = logging.getLogger(__name__)

SECONDS: Final = 3600


def session_key(session_id: UUID | None) -> str:
    """Return the key of a session; it is deleted when the session is published as ended."""
    return f"session:{session_id}"


class SessionStore:
    """Stores `session:{session_id}` {user_id, role, started_at} for an hour.

    It is optional information: an unavailable Redis fails no login.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, holder: Caller, started_at: datetime) -> None:
        """Write or renew the session of a verified token."""
        session = {"user_id": holder.user_id, "role": holder.role, "started_at": started_at}
        try:
            await self._redis.set(session_key(holder.session_id), orjson.dumps(session), ex=SECONDS)
        except (RedisError, OSError) as error:
            log.warning("A session was not written to Redis", extra={"reason": repr(error)})
