"""How cached reads are dropped: an event writes a new random version for each of its tags.

`Announce` is how a slice drops what it changed, before it answers.

A stored value is valid only with the tag versions that it was loaded under. So one write drops a
whole family of keys without a search, and a value that was loaded before the drop but stored after
it is never valid. Values whose keys the event determines are deleted, too: what a deleted user
wrote does not stay in Redis until it expires.
"""

import logging
import random
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from redis.exceptions import ResponseError

from kernel.cache.cached import Cached
from kernel.events import Event
from kernel.redis import Pipeline, RedisAway, WakeUps

log = logging.getLogger(__name__)

# Tag versions outlive every value that depends on them. Their lifetimes vary, so that versions that
# were created together do not expire together.
VERSION_SECONDS: Final = 48 * 3600
# A version that a reader creates lives for so long until a response is stored under it: reads of
# missing rows leave nothing behind. It is longer than a load, and than a 404 is cached.
_SHORT_SECONDS: Final = 300
_LONGER_BY: Final = 0.25
_BATCH: Final = 1000  # versions or values per batch: a batch must finish within the deadline


class CacheUnavailable(Exception):
    """The cache does not answer, or rejects writes."""


def version_key(tag: str) -> str:
    """Return the Redis key of a tag's version."""
    return f"tag:{tag}"


def new_version() -> str:
    """Return a new tag version: 16 hex digits."""
    return secrets.token_hex(8)


def version_seconds() -> int:
    """Return the lifetime of a new tag version: 48 to 60 hours."""
    return _varied(VERSION_SECONDS)


def short_seconds() -> int:
    """Return the lifetime of a version under which nothing is stored yet: about 5 minutes."""
    return _varied(_SHORT_SECONDS)


def _varied(seconds: int) -> int:
    return round(seconds * (1 + random.uniform(0, _LONGER_BY)))  # noqa: S311 - jitter


class Drops:
    """Drops cached reads: immediately for a handler that wrote, and later for the relay.

    `count` is the number of drops by this process. While Redis is unavailable, it separates loads
    before the caller's own write from loads after it. `cached` has each read with what its keys
    begin with, once for each route that serves it.
    """

    def __init__(self, redis: Pipeline, cached: Mapping[Cached, Collection[str]]) -> None:
        self._redis, self._prefixes = redis, cached
        self.count = 0
        self._readers: dict[type[Event], list[Cached]] = {}
        for one in cached:
            for event in one.drop_on:
                self._readers.setdefault(event, []).append(one)

    def tags(self, events: "Iterable[Event]") -> set[str]:
        """Return the tags that the events make stale."""
        return {tag for _, tag in self._tagged(events)}

    async def drop(self, events: "Iterable[Event]") -> None:
        """Write new versions for all tags of the events, and delete the values with known keys.

        The versions come first: whoever stores after that sees them, and takes back what is stale.
        Raises CacheUnavailable.
        """
        self.count += 1
        tagged = self._tagged(events)
        keys = list({version_key(tag) for _, tag in tagged})
        values = [
            prefix + key
            for (one, _), event in tagged.items()
            for prefix in self._prefixes[one]
            for key in one.keys(event)
        ]
        try:
            for first in range(0, len(keys), _BATCH):
                await self._renew(keys[first : first + _BATCH])
            for first in range(0, len(values), _BATCH):
                await self._delete(values[first : first + _BATCH])
        except (RedisAway, ResponseError) as error:
            raise CacheUnavailable from error

    def _tagged(self, events: "Iterable[Event]") -> "dict[tuple[Cached, str], Event]":
        """Return each read and its tag with one event that has it: all such mean the same keys."""
        return {
            (one, one.tag(event)): event
            for event in events
            for one in self._readers.get(type(event), ())
        }

    async def _renew(self, keys: list[str]) -> None:
        replies = await self._redis.ask(
            *(("SET", key, new_version(), "EX", version_seconds()) for key in keys)
        )
        if any(isinstance(reply, ResponseError) for reply in replies):
            # If memory is full, Redis rejects the write; but a deleted version drops, too.
            await self._delete(keys)

    async def _delete(self, keys: list[str]) -> None:
        (reply,) = await self._redis.ask(("UNLINK", *keys))
        if isinstance(reply, ResponseError):
            raise reply

    async def try_drop(self, events: "Iterable[Event]") -> None:
        """Drop, or leave it to the relay if the cache does not answer."""
        try:
            await self.drop(events)
        except CacheUnavailable as error:
            log.warning(
                "The relay drops these reads later", extra={"reason": repr(error.__cause__)}
            )


class Announce:
    """Drops the cached reads that an event makes stale: `await announce(PostChanged(…))`.

    This happens before the response is sent, so that a writer reads its own write. Jobs come from
    the outbox only: a relay is woken for them. If the cache does not answer, the relay drops later.
    """

    def __init__(self, drops: Drops, wake_ups: WakeUps) -> None:
        self._drops, self._wake_ups = drops, wake_ups

    async def __call__(self, *events: Event) -> None:
        """Drop the reads that the events make stale; an unavailable cache raises nothing."""
        await self._drops.try_drop(events)
        self._wake_ups.send_soon()
