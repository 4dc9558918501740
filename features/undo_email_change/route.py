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
    """Restore the account's old address; `token` is from the mail to that address.

    All sessions end, all passwords become invalid, and the old address gets a link to choose a new
    one.
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
