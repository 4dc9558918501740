"""The relay's access to the outbox: claim events, settle them, find lost runs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from kernel.jobs.table import Message
from kernel.jobs.unreadable import Unreadable
from kernel.supabase import AsService


@dataclass(slots=True)
class Claimed:
    """A row that this relay has leased, and its progress.

    `dropped` and `published` say whether the cache and the broker have acknowledged it, now or
    earlier. `error` is a fault of the event itself: it waits longer after each attempt.
    """

    id: int
    topic: str
    items: list[dict[str, Any]]
    claim: UUID
    dropped: bool
    published: bool
    traceparent: str | None = None
    error: str | None = None
    messages: list[Message] = field(default_factory=list)


class Outbox:
    """The outbox's SQL functions; errors are those of AsService."""

    def __init__(self, db: AsService) -> None:
        self._db = db

    async def claim(
        self,
        *,
        batch: int,
        lease_seconds: int,
        with_drops: bool,
        with_jobs: bool,
        token: UUID | None = None,
    ) -> list[Claimed]:
        """Lease the oldest events that wait for drops or for jobs, at most `batch`.

        `token` names the claim: one with the same token gets what it has leased before, too. So an
        answer that was lost costs nothing.
        """
        rows = await self._db.rpc(
            "claim_events",
            batch=batch,
            lease_seconds=lease_seconds,
            with_drops=with_drops,
            with_jobs=with_jobs,
            token=str(token or uuid4()),
        )
        return [
            Claimed(
                id=row["id"],
                topic=row["topic"],
                items=row["items"],
                claim=UUID(row["claim"]),
                dropped=row["dropped"],
                published=row["published"],
                traceparent=row.get("traceparent"),
            )
            for row in rows
        ]

    async def settle(self, events: Sequence[Claimed]) -> None:
        """Record the progress of the events of one claim, and end their lease."""
        await self._db.rpc(
            "settle_events",
            claim=str(events[0].claim),
            results=[
                {
                    "id": event.id,
                    "dropped": event.dropped,
                    "published": event.published,
                    "error": event.error,
                }
                for event in events
            ],
            runs=[
                {
                    "id": str(message.run_id),
                    "job": message.job,
                    "event_id": message.event_id,
                    "item": message.item,
                }
                for event in events
                if event.published
                for message in event.messages
            ],
        )

    async def claim_expired(self, *, batch: int, lease_seconds: int) -> list[Message]:
        """Lease the runs whose worker died: their own lease has ended."""
        rows = await self._db.rpc("claim_expired_runs", batch=batch, lease_seconds=lease_seconds)
        return _messages(rows)

    async def settle_expired(self, runs: Sequence[Message]) -> None:
        """Record that these runs are in the broker again: they are not claimed once more."""
        await self._db.rpc("settle_expired_runs", ids=[str(run.run_id) for run in runs])

    async def lost(self, *, untouched_seconds: int, batch: int) -> list[Message]:
        """Return the runs without a change for that time; each is returned once in that time."""
        rows = await self._db.rpc("lost_runs", untouched_seconds=untouched_seconds, batch=batch)
        return _messages(rows)

    async def due_replays(self, *, batch: int) -> list[Message]:
        """Queue the failed runs whose time to be performed again has come, and return them."""
        return _messages(await self._db.rpc("due_replays", batch=batch))

    async def keep_unreadable(self, messages: Sequence[Unreadable]) -> int:
        """Store messages that no worker can read as dead letters; return how many are new."""
        letters = [
            {
                "id": str(one.id),
                "queue": one.queue,
                "at": one.at.isoformat(),
                "message": base64.b64encode(one.message).decode(),
            }
            for one in messages
        ]
        return int(await self._db.rpc("keep_unreadable", letters=letters))

    async def put_slot(self, job: str, slot: datetime) -> bool:
        """Put the event of a scheduled job's slot, once; return whether this call did it."""
        return bool(await self._db.rpc("put_slot", job=job, slot=slot.isoformat()))


def _messages(runs: list[dict[str, Any]]) -> list[Message]:
    return [Message(UUID(row["id"]), row["job"], row["event_id"], row["item"]) for row in runs]
