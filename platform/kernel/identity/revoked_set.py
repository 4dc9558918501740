"""The copy of ended sessions in Redis: a sorted set, scored by expiry.

The copy is valid only while it is complete, which the member `loaded` says: it disappears with the
rest when Redis is emptied or evicts the set. A restart could restore an old copy from a file or a
replica. Scripts do not survive a restart, so the lookup is a script: if Redis does not know the
script, the copy is invalid, too.
"""

import contextlib
import hashlib
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from kernel.cache import CacheUnavailable
from kernel.identity.sessions import session_key
from kernel.redis import Command

KEY: Final = "revoked"
LOADED: Final = "loaded"
WHOLE_WITHOUT_IT: Final = [b"inf", None]
"""The reply for a session that has not ended."""

_AT_ONCE: Final = 1000
_LOAD_SECONDS: Final = 60.0
_LOOK_UP: Final = f"return redis.call('ZMSCORE', KEYS[1], '{LOADED}', unpack(ARGV))"
_LOOK_UP_SHA: Final = hashlib.sha1(_LOOK_UP.encode(), usedforsecurity=False).hexdigest()
# Entries that were lost while the list was read may be newer than the list: then read it again.
_FINISH: Final = f"""
local kept = redis.call('ZREM', KEYS[1], ARGV[1])
if kept == 1 then
  redis.call('ZADD', KEYS[1], '+inf', '{LOADED}')
else
  redis.call('ZREM', KEYS[1], '{LOADED}')
end
return kept
"""


class RevokedSet:
    """The set; its methods raise CacheUnavailable if Redis does not execute a command."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @staticmethod
    @lru_cache(4096)
    def command(session_id: UUID) -> Command:
        """Return the command that looks up a session, for any pipeline."""
        return ("EVALSHA", _LOOK_UP_SHA, 1, KEY, str(session_id))

    @staticmethod
    def read(reply: object) -> tuple[bool, bool]:
        """Return whether the copy is complete, and whether the session is in it.

        `reply` is the reply to the command, or the error instead. Raises CacheUnavailable.
        """
        if isinstance(reply, list):
            loaded, ended = reply
            return loaded is not None, ended is not None
        if isinstance(reply, ResponseError):  # no such script, or no such set
            return False, False
        raise CacheUnavailable from (reply if isinstance(reply, Exception) else None)

    async def ended(self, session_ids: Collection[UUID]) -> set[UUID] | None:
        """Return which of these sessions are in the copy, None if it is incomplete."""
        rest, found = iter(session_ids), set[UUID]()
        try:
            while part := list(islice(rest, _AT_ONCE)):
                loaded, *scores = await self._redis.evalsha(_LOOK_UP_SHA, 1, KEY, *map(str, part))
                if loaded is None:
                    return None
                found.update(one for one, at in zip(part, scores, strict=True) if at is not None)
        except ResponseError:  # no such script, or no such set
            return None
        except (RedisError, OSError) as error:
            raise CacheUnavailable from error
        return found

    async def add(self, ended: Mapping[UUID, float]) -> None:
        """Add sessions, and drop the other keys about them."""
        rest = iter(ended.items())
        try:
            while part := dict(islice(rest, _AT_ONCE)):
                scores: dict[str, Any] = {str(session_id): at for session_id, at in part.items()}
                async with self._redis.pipeline(transaction=True) as pipe:
                    pipe.zadd(KEY, scores)
                    pipe.unlink(*map(session_key, part))
                    pipe.zremrangebyscore(KEY, 0, time.time())
                    await pipe.execute()
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError):
                await self._give_up()
            raise CacheUnavailable from error

    async def begin(self) -> str:
        """Start to load the copy: call it before reading the list, and pass the result on."""
        token = f"loading:{uuid4().hex}"
        try:
            await self._redis.zadd(KEY, {token: time.time() + _LOAD_SECONDS})
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError):
                await self._give_up()
            raise CacheUnavailable from error
        return token

    async def finish(self, token: str, ended: Mapping[UUID, float]) -> bool:
        """Complete the copy with the list that was read since; return whether it is complete."""
        await self.add(ended)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.eval(_FINISH, 1, KEY, token)
                pipe.execute_command("SCRIPT LOAD", _LOOK_UP)
                kept, _ = await pipe.execute()
        except (RedisError, OSError) as error:
            raise CacheUnavailable from error
        return bool(kept)

    async def _give_up(self) -> None:
        """Remove a copy that rejects writes (memory is full, wrong type): it is invalid."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.unlink(KEY)
