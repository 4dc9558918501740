"""Beat: puts the slots of scheduled jobs into the outbox when they are due."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from postgrest import APIError

from kernel.core.metrics import SLOTS
from kernel.errors import ApiError
from kernel.jobs import Job
from kernel.outbox.outbox import Outbox
from kernel.redis import WakeUps

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0


class Beat:
    """Beat; several can run in parallel, because the outbox takes each slot once.

    It has no state to lose: a slot that was due while no beat ran is put by the next one.
    """

    def __init__(
        self, outbox: Outbox, jobs: Sequence[Job], wake_ups: WakeUps | None = None
    ) -> None:
        self._outbox, self._jobs, self._wake_ups = outbox, jobs, wake_ups
        self._put: dict[str, datetime] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Put slots until `stop` is set."""
        while not stop.is_set():
            await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def turn(self) -> None:
        """Put the slots that are due since the last turn."""
        for job in self._jobs:
            assert job.schedule is not None  # beat gets only scheduled jobs
            slot = job.schedule.slot(datetime.now(UTC))
            if self._put.get(job.name) == slot:
                continue
            try:
                put = await self._outbox.put_slot(job.name, slot)
            except (ApiError, APIError) as error:  # retried at the next turn
                log.warning("A slot was not put", extra={"job": job.name, "reason": repr(error)})
                SLOTS.labels(job.name, "failed").inc()
                continue
            self._put[job.name] = slot
            SLOTS.labels(job.name, "put" if put else "known").inc()
            if put and self._wake_ups is not None:
                self._wake_ups.send_soon()
            if put:
                log.info("slot", extra={"job": job.name, "slot": slot.isoformat()})
