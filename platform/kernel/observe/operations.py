"""Metrics of jobs, outbox and queues: read from the database and the broker."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.supabase import AsService
from kernel.supabase.errors import RECORDS_UNAVAILABLE

EVERY_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 0.8


class Operations(Collector):
    """Reads at most every 5 s, with a deadline of 0.8 s; a scrape reports the last values.

    If the database or the broker is unavailable, its metrics are absent and its `operations_up` is
    0. `queues` are the lists in the broker, `dead` is the one of unreadable messages that the relay
    has not moved yet. Without a broker there are only the database's metrics.
    """

    def __init__(
        self,
        db: AsService,
        broker: Redis | None = None,
        *,
        queues: Sequence[str] = (),
        dead: str = "",
    ) -> None:
        self._db, self._broker = db, broker
        self._queues, self._dead = tuple(queues), dead
        self._reading = asyncio.Lock()
        self._fresh_until = float("-inf")
        self._found: dict[str, Any] | None = None
        self._lengths: dict[str, int] | None = None

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(EVERY_SECONDS)

    async def read(self) -> None:
        """Read, unless the last read is younger than 5 s; concurrent callers share one read."""
        async with self._reading:
            if time.monotonic() < self._fresh_until:
                return
            self._fresh_until = time.monotonic() + EVERY_SECONDS
            self._found, self._lengths = await asyncio.gather(
                self._ask_database(), self._ask_broker()
            )

    def collect(self) -> Iterator[Metric]:
        """Return what was read last."""
        up = GaugeMetricFamily(
            "operations_up", "Whether database and broker responded.", labels=["source"]
        )
        up.add_metric(["database"], int(self._found is not None))
        if self._broker is not None:
            up.add_metric(["broker"], int(self._lengths is not None))
        yield up
        dead = GaugeMetricFamily(
            "dead_letters",
            "They wait for a person. run: a job that failed; message: no worker can read it.",
            labels=["kind"],
        )
        if self._lengths is not None:
            lengths = GaugeMetricFamily(
                "broker_queue_length", "Messages that wait in the broker.", labels=["queue"]
            )
            for queue in self._queues:
                lengths.add_metric([queue], self._lengths[queue])
            yield lengths
        if self._found is not None:
            waiting = self._found["dead_letters"]
            dead.add_metric(["run"], waiting["run"])
            if self._broker is None or self._lengths is not None:
                in_broker = (self._lengths or {}).get(self._dead, 0)
                dead.add_metric(["message"], waiting["message"] + in_broker)
            yield from _gauges(self._found)
        yield dead

    async def _ask_database(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                found: dict[str, Any] = await self._db.rpc("operations")
                return found
        except (*RECORDS_UNAVAILABLE, TimeoutError):
            return None

    async def _ask_broker(self) -> dict[str, int] | None:
        if self._broker is None:
            return None
        names = (*self._queues, self._dead)
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS), self._broker.pipeline() as pipe:
                for name in names:
                    pipe.llen(name)
                return dict(zip(names, await pipe.execute(), strict=True))
        except (RedisError, OSError):
            return None


def _gauges(found: dict[str, Any]) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "jobs_runs", "Runs that are queued, running, or failed.", labels=["state"]
    )
    for state, count in found["runs"].items():
        runs.add_metric([state], count)
    yield runs
    for name, key, text in (
        ("jobs_queue_length", "queue_length", "Runs that wait for a worker or for a retry."),
        ("jobs_queue_age_seconds", "queue_age_seconds", "Age of the oldest one; 0 if none."),
        ("outbox_pending_events", "outbox_pending", "Events that the relay has not delivered."),
        ("outbox_lag_seconds", "outbox_lag_seconds", "Age of the oldest one; 0 if none."),
    ):
        yield GaugeMetricFamily(name, text, found[key])
