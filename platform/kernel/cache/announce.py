"""Read your own writes: a handler announces what it changed, and the cache drops it at once."""

from kernel.cache.drops import Drops
from kernel.events import Event


class Announce:
    """Tells the cache at once what the caller has just written: `await announce(PostChanged(…))`.

    The cached reads that the event makes stale are dropped before the answer goes out, so that a
    writer reads the own write. That is all: jobs come from the outbox alone, and where the cache
    does not answer the relay drops later.
    """

    def __init__(self, drops: Drops) -> None:
        self._drops = drops

    async def __call__(self, *events: Event) -> None:
        """Drop what the events make stale; never raises for a cache that is away."""
        await self._drops.try_drop(events)
