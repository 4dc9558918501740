"""Done markers: a second memory, beside the database, of what has had its effect."""

import logging
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 7 * 24 * 3600


class DoneMarkers:
    """Keys in the broker that say which runs have succeeded.

    Written as soon as a job has returned, so that a database that is away in just that moment
    does not make the effect happen twice. Where the broker is away too, nothing is remembered.
    """

    def __init__(self, broker: Redis) -> None:
        self._broker = broker

    async def add(self, run_id: UUID) -> None:
        """Remember that this run has succeeded."""
        try:
            await self._broker.set(f"done:{run_id}", "1", ex=KEPT_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("A done marker was not written", extra={"reason": repr(error)})

    async def has(self, run_id: UUID) -> bool:
        """Tell whether this run is known to have succeeded."""
        try:
            return bool(await self._broker.exists(f"done:{run_id}"))
        except (RedisError, OSError) as error:
            log.warning("A done marker was not read", extra={"reason": repr(error)})
            return False
