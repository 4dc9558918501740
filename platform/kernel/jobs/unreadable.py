"""Messages that no worker can read: they wait in the broker until the relay has stored them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from redis.asyncio import Redis

DEAD_LETTERS: Final = "dead_letters"
KEPT: Final = 1000
LONGEST: Final = 8 * 1024
_IDS: Final = UUID("0b1c54ab-3d2f-4f6e-9a43-f6f3f3a5a3c1")  # arbitrary: a namespace


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One of these messages: its first 8 KiB. `raw` is the entry of the list."""

    id: UUID
    queue: str
    at: datetime
    message: bytes
    raw: bytes


def entry(queue: str, message: bytes) -> bytes:
    """Return the entry for a message that came just now. Its id makes storing it twice harmless."""
    content = base64.b64encode(message[:LONGEST]).decode()
    at = datetime.now(UTC).isoformat()
    return json.dumps({"id": str(uuid4()), "queue": queue, "at": at, "message": content}).encode()


class UnreadableMessages:
    """The list in the broker; errors are those of redis."""

    def __init__(self, broker: Redis) -> None:
        self._broker: Any = broker

    async def oldest(self, number: int) -> list[Unreadable]:
        """Return the oldest messages, which stay in the list."""
        found: list[bytes] = await self._broker.lrange(DEAD_LETTERS, -number, -1)
        return [_read(raw) for raw in reversed(found)]

    async def remove(self, stored: Sequence[Unreadable]) -> None:
        """Remove messages that are stored elsewhere."""
        async with self._broker.pipeline(transaction=False) as pipe:
            for one in stored:
                pipe.lrem(DEAD_LETTERS, -1, one.raw)
            await pipe.execute()


def _read(raw: bytes) -> Unreadable:
    """Return what an entry says; of one that we did not write, the entry itself.

    Every entry can be stored afterwards: one that the database refuses would stop the relay.
    """
    try:
        content = json.loads(raw)
        return Unreadable(
            UUID(content["id"]),
            _printable(content["queue"]),
            datetime.fromisoformat(content["at"]).astimezone(UTC),
            base64.b64decode(content["message"], validate=True)[:LONGEST],
            raw,
        )
    # A worker before 2026-12 put the message itself.
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        begin = raw[:LONGEST]
        return Unreadable(uuid5(_IDS, raw.hex()), "unknown", datetime.now(UTC), begin, raw)


def _printable(queue: str) -> str:
    if not queue.isprintable():
        raise ValueError("no name of a queue")
    return queue
