"""Runs in the database: who holds one, how often it was begun, how it ended."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from kernel.jobs.table import Message
from kernel.supabase import AsService

LEASE: Final = timedelta(seconds=15)
HEARTBEAT: Final = timedelta(seconds=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt of one run; a job may ask for it as a service.

    `id` is the same for each attempt, and for each message about it: what a job sends elsewhere
    can carry it as its idempotency key.
    """

    id: UUID
    job: str
    slice: str
    attempt: int
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What `begin` found: whether this message is to be performed now.

    `run` (with attempt, topic, fields), `busy` (somebody holds it for `seconds`), `done` (it has
    ended before) or `exhausted` (begun too often, never ended).
    """

    outcome: Literal["run", "busy", "done", "exhausted"]
    attempt: int = 0
    topic: str | None = None
    fields: dict[str, Any] | None = None
    request_id: str | None = None
    seconds: float = 0


class Runs:
    """The records' functions in the database; errors are RECORDS_UNAVAILABLE."""

    def __init__(self, db: AsService) -> None:
        self._db = db

    async def begin(self, message: Message, *, holder: str, max_attempts: int) -> Begun:
        """Take the lease of a run, where it is free and there is something left to do."""
        found = await self._db.rpc(
            "begin_run",
            run_id=str(message.run_id),
            job=message.job,
            event_id=message.event_id,
            item=message.item,
            holder=holder,
            lease_seconds=round(LEASE.total_seconds()),
            max_attempts=max_attempts,
        )
        return Begun(**found)

    async def extend(self, run_id: UUID, holder: str) -> bool:
        """Hold the lease for another while; return whether it was still held."""
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
    ) -> bool:
        """End the attempt and give the lease back; `queued` is for another attempt."""
        return bool(
            await self._db.rpc(
                "finish_run",
                run_id=str(run_id),
                holder=holder,
                state=state,
                error=error,
                duration_ms=duration_ms,
            )
        )

    async def release(self, holder_prefix: str, *, counts: bool) -> int:
        """Free what a process held that is gone; return how many runs.

        `counts` says whether the attempt that was cut off counts as one.
        """
        released = await self._db.rpc("release_runs", holder_prefix=holder_prefix, counts=counts)
        return int(released)

    async def close(
        self, message: Message, state: Literal["succeeded", "failed"], *, error: str | None = None
    ) -> None:
        """End a run that was not begun here, unless it has ended or somebody performs it."""
        await self._db.rpc(
            "close_run",
            run_id=str(message.run_id),
            job=message.job,
            event_id=message.event_id,
            item=message.item,
            state=state,
            error=error,
        )
