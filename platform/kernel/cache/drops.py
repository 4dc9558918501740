"""How cached reads are dropped: a new random stamp for each tag that an event touches.

A stored value counts only with the stamps that it was loaded under. So a whole family of keys is
dropped by one write, without looking for them, and a value that was loaded before the drop and is
stored after it never counts.
"""

import logging
import random
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from kernel.cache.cached import Cached
from kernel.redis import Pipeline, RedisAway

if TYPE_CHECKING:
    from kernel.events import Event

log = logging.getLogger(__name__)

# Stamps outlive every value that could carry them. They are spread, so that what was read together
# is not forgotten together.
STAMP_SECONDS: Final = 48 * 3600
# A reader makes them for so long, and gives them their long life with the answer that it stores:
# reads of what does not exist leave nothing behind. It is longer than a load, and than a 404 lives.
_SHORT_SECONDS: Final = 300
_LONGER_BY: Final = 0.25
_BATCH: Final = 1000  # stamps written at once: each batch is to be done within the deadline


class CacheUnavailable(Exception):
    """The cache does not answer, or does not take what it is to keep."""


def stamp_key(tag: str) -> str:
    """Return where the stamp of a tag lies."""
    return f"stamp:{tag}"


def new_stamp() -> str:
    """Return a stamp: 16 hex digits."""
    return secrets.token_hex(8)


def stamp_seconds() -> int:
    """Return how long a stamp that is written now lives: 48 to 60 hours."""
    return _spread(STAMP_SECONDS)


def short_seconds() -> int:
    """Return how long a stamp lives under which nothing is stored yet: about 5 minutes."""
    return _spread(_SHORT_SECONDS)


def _spread(seconds: int) -> int:
    return round(seconds * (1 + random.uniform(0, _LONGER_BY)))  # noqa: S311 - a spread


class Drops:
    """Drops cached reads: at once for a handler that wrote, and for the relay.

    `count` is the number of drops by this process: while Redis is away it is what parts a read
    before the own write from one after it.
    """

    def __init__(self, redis: Pipeline, cached: Iterable[Cached]) -> None:
        self._redis = redis
        self.count = 0
        self._readers: dict[type[Event], list[Cached]] = {}
        for one in cached:
            for event in one.drop_on:
                self._readers.setdefault(event, []).append(one)

    def tags(self, events: "Iterable[Event]") -> set[str]:
        """Return the tags that the events make stale."""
        return {one.tag(event) for event in events for one in self._readers.get(type(event), ())}

    async def drop(self, events: "Iterable[Event]") -> None:
        """Write new stamps for all tags of the events. Raises CacheUnavailable."""
        self.count += 1
        keys = [stamp_key(tag) for tag in self.tags(events)]
        try:
            for first in range(0, len(keys), _BATCH):
                await self._renew(keys[first : first + _BATCH])
        except (RedisAway, ResponseError) as error:
            raise CacheUnavailable from error

    async def _renew(self, keys: list[str]) -> None:
        replies = await self._redis.ask(
            *(("SET", key, new_stamp(), "EX", stamp_seconds()) for key in keys)
        )
        if any(isinstance(reply, ResponseError) for reply in replies):
            # Where memory is full, it takes nothing; but a stamp that is missing drops, too.
            (reply,) = await self._redis.ask(("UNLINK", *keys))
            if isinstance(reply, ResponseError):
                raise reply

    async def try_drop(self, events: "Iterable[Event]") -> None:
        """Drop, or leave it to the relay where the cache does not answer."""
        try:
            await self.drop(events)
        except CacheUnavailable as error:
            log.warning("Cached reads are dropped later", extra={"reason": repr(error.__cause__)})
