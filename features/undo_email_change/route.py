from fastapi import APIRouter

from kernel.web import Answer, Services, raises

from . import handler
from .schema import InvalidUndoToken, OldAddressTaken, Undo, Undone

router = APIRouter(tags=["auth"])


@router.post("/auth/email-change/undo", responses=raises(InvalidUndoToken, OldAddressTaken))
async def undo_email_change(undo: Undo, services: Services) -> Answer[Undone]:
    """Give the account its old address back; `token` is the one that was mailed there.

    All sessions end, no password counts any more, and a link to choose a new one goes to the old
    address.
    """
    await services.call(handler.undo_email_change, token=undo.token.get_secret_value())
    return Answer(Undone())
