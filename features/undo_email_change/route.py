from fastapi import APIRouter

from kernel.web import Answer, Services, raises

from . import handler
from .schema import InvalidUndoToken, OldAddressTaken, Undo, Undone

router = APIRouter(tags=["auth"])


@router.post("/auth/email-change/undo", responses=raises(InvalidUndoToken, OldAddressTaken))
async def undo_email_change(undo: Undo, services: Services) -> Answer[Undone]:
    """Restore the account's old address; `token` is from the mail to that address.

    All sessions end, all passwords become invalid, and the old address gets a link to choose a new
    one.
    """
    await services.call(handler.undo_email_change, token=undo.token.get_secret_value())
    return Answer(Undone())
