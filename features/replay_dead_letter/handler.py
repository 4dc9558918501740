from typing import Any, Final
from uuid import UUID

from kernel.errors import ApiError
from kernel.identity import Audit
from kernel.supabase import AsCaller

from .schema import (
    DeadLetterGone,
    DeadLetterNotFound,
    DeadLetterSettled,
    DeadLetterUnreadable,
    Replay,
)

_REFUSALS: Final[dict[str, type[ApiError]]] = {
    "unknown": DeadLetterNotFound,
    "settled": DeadLetterSettled,
    "unreadable": DeadLetterUnreadable,
    "gone": DeadLetterGone,
}


async def replay_dead_letter(db: AsCaller, audit: Audit, *, dead_letter_id: UUID) -> Replay:
    """Replay it: a trigger of the insert does so, and writes the outcome into the row.

    Raises DeadLetterNotFound, DeadLetterSettled, DeadLetterUnreadable and DeadLetterGone.
    """
    asked = {"dead_letter_id": str(dead_letter_id)}
    inserted = await db.table("dead_letter_replays").insert(asked).execute()
    row: Any = inserted.data[0]
    if row["outcome"] != "replayed":
        raise _REFUSALS[row["outcome"]](dead_letter_id=dead_letter_id)
    await audit("dead_letter_replayed", dead_letter_id=str(dead_letter_id))
    return Replay.model_validate(row)
