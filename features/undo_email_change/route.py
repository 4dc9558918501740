from fastapi import APIRouter

from kernel.cache import Announce
from kernel.identity import Audit, MailedTokens, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Answer, Call, Services, raises

from . import handler
from .schema import InvalidUndoToken, OldAddressTaken, Undo, Undone

router = APIRouter(tags=["auth"])


@router.post("/auth/email-change/undo", responses=raises(InvalidUndoToken, OldAddressTaken))
async def undo_email_change(undo: Undo, services: Services) -> Answer[Undone]:
    """Give the account its old address back; `token` is the one that was mailed there.

    All sessions end, no password counts any more, and a link to choose a new one goes to the old
    address.
    """
    tokens, admin, db, call = await services.aget(MailedTokens, AuthAdmin, AsService, Call)
    revocations, announce, audit = await services.aget(Revocations, Announce, Audit)
    await handler.undo_email_change(
        tokens,
        admin,
        db,
        call,
        token=undo.token.get_secret_value(),
        revocations=revocations,
        announce=announce,
        audit=audit,
    )
    return Answer(Undone())
