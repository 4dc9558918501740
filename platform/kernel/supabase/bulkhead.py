"""A bulkhead: a limit of concurrent calls, so that a slow server cannot exhaust this process."""

import asyncio
import logging
import time
from typing import Final

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 1.0


class BulkheadFull(Exception):
    """The call was not made: no slot became free in WAIT_SECONDS."""


class Bulkhead:
    """A slot for each of `places` calls: `async with bulkhead: …`; first come, first served.

    If no slot is free, wait up to WAIT_SECONDS, then raise BulkheadFull: a longer wait would break
    the latency goals and hold memory. A cancelled caller gives its slot back. For one event loop.
    After M. Nygard, "Release It!".
    """

    def __init__(self, name: str, places: int) -> None:
        self._name = name
        self._places = asyncio.Semaphore(places)
        self._logged = -_LOG_SECONDS

    async def __aenter__(self) -> None:
        """Take a slot. Raises BulkheadFull."""
        if not self._places.locked():
            await self._places.acquire()  # immediately
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            self._log()
            raise BulkheadFull from None

    async def __aexit__(self, *_: object) -> None:
        """Free the slot."""
        self._places.release()

    def _log(self) -> None:
        """Log that calls are refused, at most once a second."""
        now = time.monotonic()
        if now - self._logged >= _LOG_SECONDS:
            self._logged = now
            log.warning("Too many concurrent calls: some are refused", extra={"to": self._name})
