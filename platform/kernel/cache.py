"""What is cached under which key, what makes it stale, and how it is dropped.

A drop writes a new random stamp for a tag; a stored value counts only with the stamps it was loaded
under. So a whole family of keys is dropped by one write, without looking for them, and a value that
was loaded before the drop and is stored after it never counts.
"""

import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from kernel.events import Event

log = logging.getLogger(__name__)

# Stamps outlive every value that could carry them.
STAMP_SECONDS: Final = 48 * 3600
_BATCH: Final = 1000  # stamps written at once: each batch is to be done within the deadline
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class CacheUnavailable(Exception):
    """The cache does not answer."""


@dataclass(frozen=True)
class Cached:
    """A cached read: the pattern of its key, and the events that make it stale.

    Placeholders are filled from the event: `Cached("post:{post_id}", drop_on=(PostChanged,))`.
    What the event does not have stands for every value: `posts:page:{page}` is dropped whole.
    """

    key: str
    drop_on: "tuple[type[Event], ...]" = ()

    def tag(self, event: "Event") -> str:
        """Return the tag whose stamp this event changes."""
        fields = event.model_dump(mode="json")
        return _PLACEHOLDER.sub(lambda found: str(fields.get(found[1], "*")), self.key)


class Drops:
    """Drops cached reads: at once for a handler that wrote, and for the relay."""

    def __init__(self, redis: Redis, cached: Iterable[Cached]) -> None:
        self._redis = redis
        self._readers: dict[type[Event], list[Cached]] = {}
        for one in cached:
            for event in one.drop_on:
                self._readers.setdefault(event, []).append(one)

    def tags(self, events: "Iterable[Event]") -> set[str]:
        """Return the tags that the events make stale."""
        return {one.tag(event) for event in events for one in self._readers.get(type(event), ())}

    async def drop(self, events: "Iterable[Event]") -> None:
        """Write new stamps for all tags of the events. Raises CacheUnavailable."""
        tags = list(self.tags(events))
        try:
            for first in range(0, len(tags), _BATCH):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for tag in tags[first : first + _BATCH]:
                        pipe.set(f"stamp:{tag}", secrets.token_hex(8), ex=STAMP_SECONDS)
                    await pipe.execute()
        except (RedisError, OSError) as error:
            raise CacheUnavailable from error

    async def try_drop(self, events: "Iterable[Event]") -> None:
        """Drop, or leave it to the relay where the cache does not answer."""
        try:
            await self.drop(events)
        except CacheUnavailable as error:
            log.warning("Cached reads are dropped later", extra={"reason": repr(error.__cause__)})
