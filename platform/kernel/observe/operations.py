"""Metrics of jobs and outbox, read from the database on a scrape."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from kernel.supabase import AsService
from kernel.supabase.errors import RECORDS_UNAVAILABLE

KEPT_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 0.8


class Operations:
    """Reads from the database at most every 5 s, one call at a time, with a deadline of 0.8 s.

    A failed read is not repeated earlier either.
    """

    def __init__(self, db: AsService) -> None:
        self._db = db
        self._asking = asyncio.Lock()
        self._found: dict[str, Any] | None = None
        self._fresh_until = 0.0

    async def read(self) -> list[Metric]:
        """Return the gauges; if the database is unavailable, only `operations_up` = 0."""
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                self._found = await self._ask()
                self._fresh_until = time.monotonic() + KEPT_SECONDS
            return list(_gauges(self._found))

    async def _ask(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                found: dict[str, Any] = await self._db.rpc("operations")
                return found
        except (*RECORDS_UNAVAILABLE, TimeoutError):
            return None


def _gauges(found: dict[str, Any] | None) -> Iterator[Metric]:
    up = int(found is not None)
    yield GaugeMetricFamily("operations_up", "Whether the database reported jobs and outbox.", up)
    if found is None:
        return
    runs = GaugeMetricFamily(
        "jobs_runs", "Runs that are queued, running, or failed.", labels=["state"]
    )
    for state, count in found["runs"].items():
        runs.add_metric([state], count)
    yield runs
    finished = GaugeMetricFamily(
        "jobs_finished_last_minute", "Runs that ended in the last minute.", labels=["state"]
    )
    for state, count in found["finished_last_minute"].items():
        finished.add_metric([state], count)
    yield finished
    for name, key, text in (
        ("jobs_queue_length", "queue_length", "Runs that wait for a worker or for a retry."),
        ("jobs_queue_age_seconds", "queue_age_seconds", "Age of the oldest one; 0 if none."),
        ("outbox_pending_events", "outbox_pending", "Events that the relay has not delivered."),
        ("outbox_lag_seconds", "outbox_lag_seconds", "Age of the oldest one; 0 if none."),
    ):
        yield GaugeMetricFamily(name, text, found[key])
