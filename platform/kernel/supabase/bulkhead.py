"""A bulkhead: so many calls under way and no more, so that a slow server fills nothing else."""

import asyncio
import logging
import time
from typing import Final

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 1.0


class BulkheadFull(Exception):
    """The call was not made: no place became free in WAIT_SECONDS."""


class Bulkhead:
    """A place for each of `places` calls: `async with bulkhead: …`; first come, first served.

    Who finds none waits up to WAIT_SECONDS and then gets BulkheadFull: whoever waited longer would
    miss every goal for latency, and holds memory meanwhile. A caller who goes away gives back what
    was given. For one event loop. After M. Nygard, "Release It!".
    """

    def __init__(self, name: str, places: int) -> None:
        self._name = name
        self._places = asyncio.Semaphore(places)
        self._logged = -_LOG_SECONDS

    async def __aenter__(self) -> None:
        """Take a place. Raises BulkheadFull."""
        if not self._places.locked():
            await self._places.acquire()  # at once
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            self._log()
            raise BulkheadFull from None

    async def __aexit__(self, *_: object) -> None:
        """Give the place back."""
        self._places.release()

    def _log(self) -> None:
        """Say that calls are refused; a line a second is enough."""
        now = time.monotonic()
        if now - self._logged >= _LOG_SECONDS:
            self._logged = now
            log.warning("Too many calls are under way: some are refused", extra={"to": self._name})
