"""The relay: forwards events from the outbox to the cache (drops, ended sessions) and the broker.

A row is leased, processed and settled. If the relay dies in between, the lease expires and another
relay repeats the work. A repeated drop is one more cache miss; a repeated message is the same run.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from postgrest import APIError
from pydantic import ValidationError

from kernel.cache import CacheUnavailable, Drops
from kernel.core.backoff import Backoff
from kernel.core.metrics import RELAY_FAILURES, RELAYED_EVENTS
from kernel.core.traces import OFF, Span, Traces
from kernel.errors import ApiError
from kernel.events import Event, SessionEnded
from kernel.identity.revocation import Revocations
from kernel.jobs.publisher import BrokerUnavailable, Publisher
from kernel.jobs.table import JobTable
from kernel.live import LiveStream
from kernel.outbox.outbox import Claimed, Outbox
from kernel.outbox.recovery import Recovery
from kernel.redis import Alarm

log = logging.getLogger(__name__)

BATCH: Final = 500
LEASE_SECONDS: Final = 30
IDLE_SECONDS: Final = 1.0
# Between claims that are not full: a stream of writes is claimed in batches, too.
PAUSE_SECONDS: Final = 0.03
# The longest backoff, so that ended sessions reach the cache soon after it is back.
CACHE_BACKOFF_SECONDS: Final = 1.0


class Relay:
    """A relay; several can run in parallel.

    While the cache is unavailable, events that only wait for it are not claimed, and the broker
    still gets its messages; and the other way round.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        *,
        drops: Drops,
        live: LiveStream,
        revocations: Revocations,
        recovery: Recovery,
        jobs: JobTable,
        events: Mapping[str, type[Event]],
        alarm: Alarm,
        traces: Traces = OFF,
    ) -> None:
        self._outbox, self._drops, self._publisher = outbox, drops, publisher
        self._revocations, self._traces = revocations, traces
        self._live = live
        self._jobs, self._events, self._recovery = jobs, events, recovery
        self._database, self._broker = Backoff(), Backoff()
        self._cache = Backoff(longest=CACHE_BACKOFF_SECONDS)
        self._alarm = alarm
        # Of the claim that is under way: until it is settled, an answer may have got lost.
        self._token = uuid4()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; settle the current batch before returning."""
        stopped = asyncio.create_task(stop.wait())
        rang: asyncio.Task[None] | None = None
        while not stop.is_set():
            if await self.turn():
                continue
            await asyncio.wait({stopped}, timeout=PAUSE_SECONDS)
            # It goes on to wait while this relay looks by itself.
            rang = rang or asyncio.create_task(self._alarm.rang())
            waiting: set[asyncio.Task[Any]] = {stopped, rang}
            await asyncio.wait(waiting, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if rang.done():
                rang = None
        # Repeat the cancellation: a call that ends in the same moment can swallow it.
        while rang is not None and not rang.done():
            rang.cancel()
            await asyncio.wait({rang}, timeout=PAUSE_SECONDS)
        await self._alarm.aclose()
        self._publisher.close()

    async def turn(self) -> bool:
        """Relay one batch; return whether more events may be waiting."""
        if not self._database.over or not (self._cache.over or self._broker.over):
            return False
        try:
            batch = await self._outbox.claim(
                batch=BATCH,
                lease_seconds=LEASE_SECONDS,
                with_drops=self._cache.over,
                with_jobs=self._broker.over,
                token=self._token,
            )
            if batch:
                await self._relay(batch)
                await self._outbox.settle(batch)
                self._token = uuid4()
                for row in batch:
                    RELAYED_EVENTS.labels(_result(row)).inc()
            await self._recover()
        except (ApiError, APIError) as error:
            log.warning("The outbox does not answer", extra={"reason": repr(error)})
            RELAY_FAILURES.labels("database").inc()
            self._database.failed()
            return False
        self._database.succeeded()
        return len(batch) == BATCH

    async def _recover(self) -> None:
        if not self._broker.over:
            return
        try:
            await self._recovery.turn()
        except BrokerUnavailable:
            RELAY_FAILURES.labels("broker").inc()
            self._broker.failed()

    async def _relay(self, batch: list[Claimed]) -> None:
        known = [(row, events) for row in batch if (events := self._read(row)) is not None]
        await self._drop([(row, events) for row, events in known if not row.dropped])
        await self._publish([(row, events) for row, events in known if not row.published])

    def _read(self, row: Claimed) -> list[Event] | None:
        """Return the row's events; None for an unreadable row, with the reason in `row.error`."""
        kind = self._events.get(row.topic)
        if kind is None:
            # A newer version knows the topic: this relay must not settle the event.
            row.error = "this relay does not know the topic"
        else:
            try:
                return [kind.model_validate(item) for item in row.items]
            except ValidationError as error:
                row.error = f"an item does not fit {kind.__name__}: {error.error_count()} errors"
        log.error("An event cannot be read", extra={"event_id": row.id, "reason": row.error})
        return None

    async def _drop(self, waiting: list[tuple[Claimed, list[Event]]]) -> None:
        if not waiting or not self._cache.over:
            return
        try:
            told = [event for _, events in waiting for event in events]
            await self._drops.drop(told)
            ended = [event.session_id for event in told if isinstance(event, SessionEnded)]
            if ended:
                await self._revocations.add(ended)
            await self._live.write(told)  # after the drops: clients read again at once
        except CacheUnavailable as error:
            log.warning("The cache does not answer", extra={"reason": repr(error.__cause__)})
            RELAY_FAILURES.labels("cache").inc()
            self._cache.failed()
            return
        self._cache.succeeded()
        for row, _ in waiting:
            row.dropped = True

    async def _publish(self, waiting: list[tuple[Claimed, list[Event]]]) -> None:
        if not self._broker.over:
            return
        for row, events in waiting:
            try:
                row.messages = [
                    message
                    for item, event in enumerate(events)
                    for message in self._jobs.messages(event, row.id, item)
                ]
            except KeyError as error:
                row.error = f"this relay does not know the job {error}"
        ready = [row for row, _ in waiting if row.error is None]
        spans = self._traced(ready) if self._traces.on else []
        try:
            await self._publisher.publish([one for row in ready for one in row.messages])
        except BrokerUnavailable as error:
            for span in spans:
                span.failed("BrokerUnavailable")
            log.warning("The broker does not answer", extra={"reason": str(error)})
            RELAY_FAILURES.labels("broker").inc()
            self._broker.failed()
            return
        finally:
            for span in spans:
                span.end()
        self._broker.succeeded()
        for row in ready:
            row.published = True

    def _traced(self, rows: list[Claimed]) -> list[Span]:
        """Begin a span for each event of a trace, which its messages continue."""
        spans: list[Span] = []
        for row in rows:
            if row.traceparent is None:
                continue
            span = self._traces.begin(f"relay {row.topic}", "producer", row.traceparent)
            span.note(topic=row.topic, event_id=row.id)
            row.messages = [replace(one, traceparent=span.traceparent) for one in row.messages]
            spans.append(span)
        return spans


def _result(row: Claimed) -> str:
    if row.error is not None:
        return "unreadable"
    return "delivered" if row.dropped and row.published else "waiting"
