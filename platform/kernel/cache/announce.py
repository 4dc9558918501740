"""Read your own writes: a handler announces a change, and the cache drops the stale reads."""

from kernel.cache.drops import Drops
from kernel.events import Event


class Announce:
    """Drops the cached reads that an event makes stale: `await announce(PostChanged(…))`.

    This happens before the response is sent, so that a writer reads its own write. It does nothing
    else: jobs come from the outbox only. If the cache does not answer, the relay drops later.
    """

    def __init__(self, drops: Drops) -> None:
        self._drops = drops

    async def __call__(self, *events: Event) -> None:
        """Drop the reads that the events make stale; an unavailable cache raises nothing."""
        await self._drops.try_drop(events)
