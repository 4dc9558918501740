"""Done markers: a second record, beside the database, of the runs that succeeded."""

import logging
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 7 * 24 * 3600


class DoneMarkers:
    """Keys in the broker that mark succeeded runs.

    A marker is written as soon as the job returns, so that a database failure at that moment does
    not repeat the job's effect. If the broker is unavailable too, there is no marker.
    """

    def __init__(self, broker: Redis) -> None:
        self._broker = broker

    async def add(self, run_id: UUID) -> None:
        """Mark this run as succeeded."""
        try:
            await self._broker.set(f"done:{run_id}", "1", ex=KEPT_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("A done marker was not written", extra={"reason": repr(error)})

    async def has(self, run_id: UUID) -> bool:
        """Return whether this run is marked as succeeded."""
        try:
            return bool(await self._broker.exists(f"done:{run_id}"))
        except (RedisError, OSError) as error:
            log.warning("A done marker was not read", extra={"reason": repr(error)})
            return False
