from uuid import UUID

from fastapi import APIRouter, status

from kernel.errors import TooManyRequests
from kernel.web import Answer, Services, raises

from . import handler
from .schema import (
    DeadLetterGone,
    DeadLetterNotFound,
    DeadLetterSettled,
    DeadLetterUnreadable,
    Replay,
)

router = APIRouter(tags=["operations"])


@router.post(
    "/dead-letters/{dead_letter_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    responses=raises(
        TooManyRequests, DeadLetterNotFound, DeadLetterSettled, DeadLetterUnreadable, DeadLetterGone
    ),
)
async def replay_dead_letter(dead_letter_id: UUID, services: Services) -> Answer[Replay]:
    """Have the job of a dead letter run again, with all its attempts; a worker begins it soon.

    Each dead letter is replayed once. If the run fails again, it waits as a dead letter again.
    """
    return Answer(await services.call(handler.replay_dead_letter, dead_letter_id=dead_letter_id))
