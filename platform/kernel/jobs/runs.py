"""Runs in the database (lease, attempts and result), and their done markers in Redis."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.core.joined import Joined
from kernel.jobs.table import Message
from kernel.supabase import AsService

LEASE: Final = timedelta(seconds=15)
HEARTBEAT: Final = timedelta(seconds=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt of one run; a job may ask for it as a service.

    `id` is the same for all attempts and messages of the run: use it as the idempotency key of
    calls to other systems.
    """

    id: UUID
    job: str
    slice: str
    attempt: int
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The result of `begin`: whether to perform this message now.

    `run` (with attempt, topic, fields), `busy` (leased to another holder for `seconds`), `done` (it
    has ended before) or `exhausted` (started too often without an end).
    """

    outcome: Literal["run", "busy", "done", "exhausted"]
    attempt: int = 0
    topic: str | None = None
    fields: dict[str, Any] | None = None
    request_id: str | None = None
    seconds: float = 0


class Runs:
    """The SQL functions of the records; errors are RECORDS_UNAVAILABLE.

    Runs that begin or end at the same time share a call.
    """

    def __init__(self, db: AsService) -> None:
        self._db = db
        self._beginning = Joined(self._begin_all)
        self._finishing = Joined(self._finish_all)

    async def begin(self, message: Message, *, holder: str, max_attempts: int) -> Begun:
        """Take the lease of a run if it is free and not done."""
        return await self._beginning.ask(
            {
                "run_id": str(message.run_id),
                "job": message.job,
                "event_id": message.event_id,
                "item": message.item,
                "holder": holder,
                "max_attempts": max_attempts,
            }
        )

    async def extend(self, run_id: UUID, holder: str) -> bool:
        """Extend the lease; return whether it was still held."""
        seconds = round(LEASE.total_seconds())
        return bool(
            await self._db.rpc(
                "extend_run", run_id=str(run_id), holder=holder, lease_seconds=seconds
            )
        )

    async def finish(
        self,
        run_id: UUID,
        holder: str,
        state: Literal["succeeded", "queued", "failed"],
        *,
        error: str | None,
        duration_ms: int,
        retry_after: timedelta = timedelta(0),
    ) -> bool:
        """Record the end of the attempt and end the lease.

        `queued` asks for another attempt, which is due after `retry_after`.
        """
        return await self._finishing.ask(
            {
                "run_id": str(run_id),
                "holder": holder,
                "state": state,
                "error": error,
                "duration_ms": duration_ms,
                "retry_seconds": retry_after.total_seconds(),
            }
        )

    async def replay_later(self, run_id: UUID) -> bool:
        """Have a failed run performed again after a pause; return False for one of a day ago."""
        return bool(await self._db.rpc("replay_later", run_id=str(run_id)))

    async def release(self, holder_prefix: str, *, counts: bool) -> int:
        """End the leases of a lost process; return the number of runs.

        `counts` says whether the interrupted attempt counts.
        """
        released = await self._db.rpc("release_runs", holder_prefix=holder_prefix, counts=counts)
        return int(released)

    async def close(
        self, message: Message, state: Literal["succeeded", "failed"], *, error: str | None = None
    ) -> None:
        """Record the result of a run that was not started here, unless it is done or leased."""
        await self._db.rpc(
            "close_run",
            run_id=str(message.run_id),
            job=message.job,
            event_id=message.event_id,
            item=message.item,
            state=state,
            error=error,
        )

    async def _begin_all(self, asked: Sequence[dict[str, Any]]) -> list[Begun]:
        seconds = round(LEASE.total_seconds())
        begun = await self._db.rpc("begin_runs", runs=asked, lease_seconds=seconds)
        return [Begun(**begun[one["holder"]]) for one in asked]

    async def _finish_all(self, asked: Sequence[dict[str, Any]]) -> list[bool]:
        finished = await self._db.rpc("finish_runs", runs=asked)
        return [bool(finished[one["holder"]]) for one in asked]


log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 7 * 24 * 3600


class DoneMarkers:
    """Keys in the broker that mark succeeded runs.

    A marker is written as soon as the job returns, so that a database failure at that moment does
    not repeat the job's effect. If the broker is unavailable too, there is no marker. Runs at the
    same time share a round trip.
    """

    def __init__(self, broker: Redis) -> None:
        self._broker: Any = broker
        self._adding = Joined(self._add_all)
        self._asking = Joined(self._has_all)

    async def add(self, run_id: UUID) -> None:
        """Mark this run as succeeded."""
        await self._adding.ask(run_id)

    async def has(self, run_id: UUID) -> bool:
        """Return whether this run is marked as succeeded."""
        return await self._asking.ask(run_id)

    async def _add_all(self, run_ids: Sequence[UUID]) -> list[None]:
        try:
            async with self._broker.pipeline(transaction=False) as pipe:
                for run_id in run_ids:
                    pipe.set(f"done:{run_id}", "1", ex=KEPT_SECONDS)
                await pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("A done marker was not written", extra={"reason": repr(error)})
        return [None] * len(run_ids)

    async def _has_all(self, run_ids: Sequence[UUID]) -> list[bool]:
        try:
            found = await self._broker.mget([f"done:{run_id}" for run_id in run_ids])
        except (RedisError, OSError) as error:
            log.warning("A done marker was not read", extra={"reason": repr(error)})
            return [False] * len(run_ids)
        return [one is not None for one in found]
