"""Which access tokens were used: it tells a client that lost an answer from a thief (S10).

Supabase Auth takes a used refresh token again while it is the parent of the current one. Somebody
who lost the answer to a refresh has not used the access token that was in it.
"""

import logging
import time
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.core.caller import Caller
from kernel.redis import Command

log = logging.getLogger(__name__)

KEY: Final = "seen"
_KEPT_SECONDS: Final = 7 * 24 * 3600  # no session is older


class SeenTokens:
    """The newest `exp` of the access tokens of each session that were used: a sorted set.

    It has no TTL, so a cache that evicts keys with a TTL alone keeps it. Where Redis is away or was
    emptied it says nothing until the next use: then Auth's own rules are all that holds.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @staticmethod
    def command(caller: Caller) -> Command:
        """Return the command that notes the use of a token, for any pipeline."""
        return ("ZADD", KEY, "GT", caller.expires_at, str(caller.session_id))

    async def until(self, session_id: UUID | None) -> int | None:
        """Return the newest `exp` of the session's used tokens, None where it is not known."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zscore(KEY, str(session_id))
                pipe.zremrangebyscore(KEY, 0, time.time() - _KEPT_SECONDS)
                score, _ = await pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("Used tokens are not known", extra={"reason": repr(error)})
            return None
        return None if score is None else int(score)
