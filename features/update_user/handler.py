import logging
from uuid import UUID

from features.shared.users import User, UserChanged, UserGone
from kernel.cache import Announce
from kernel.errors import ApiError, PreconditionFailed, TooManyRequests
from kernel.identity import Audit, FreshLogin
from kernel.supabase import AsCaller, AsService, AuthApi, DatabaseRefusal
from kernel.web import Call, Precondition

from .schema import EmailTaken, PartialUpdate, UserChanges

log = logging.getLogger(__name__)

_HOUR = 3600


async def update_user(
    auth: AuthApi,
    db: AsCaller,
    service: AsService,
    fresh: FreshLogin,
    call: Call,
    announce: Announce,
    audit: Audit,
    condition: Precondition,
    *,
    changes: UserChanges,
    user_id: UUID,
) -> User:
    """Change the caller's user and return it; a new address first needs confirmation.

    Raises PreconditionFailed, UserGone, ReauthenticationRequired, EmailTaken, TooManyRequests, or
    PartialUpdate if the new address was requested but the name was not changed.
    """
    await condition.require()
    found = await db.rpc("me")
    if not found:
        raise UserGone
    user = User.model_validate(found[0])
    changed = []
    if changes.email is not None and changes.email != user.email:
        await fresh.require(changes.current_password)
        await _ask_for_email(auth, service, call, user_id, changes.email)
        await audit("email_change_requested", user_id=user_id)
        changed.append("email")
    if changes.renames:
        try:
            await _rename(db, condition, user_id, changes.display_name)
        except (ApiError, DatabaseRefusal) as error:
            if not changed:
                raise
            log.exception("The second half of a change failed")
            raise PartialUpdate(changed=changed, failed=["display_name"]) from error
        user = user.model_copy(update={"display_name": changes.display_name})
    await announce(UserChanged(user_id=user_id))
    return user


async def _ask_for_email(
    auth: AuthApi, service: AsService, call: Call, user_id: UUID, email: str
) -> None:
    """Store the request; a job sends the link.

    If addresses are confirmed, the response does not reveal accounts.
    """
    outcome = await service.rpc(
        "request_email_change",
        user_id=str(user_id),
        email=email,
        address=call.client_address,
        request_id=call.request_id,
    )
    if outcome == "limited":
        raise TooManyRequests(retry_after=_HOUR)
    if outcome == "taken" and not (await auth.settings()).confirms_addresses:
        raise EmailTaken


async def _rename(db: AsCaller, condition: Precondition, user_id: UUID, name: str | None) -> None:
    change = db.table("profiles").update({"display_name": name}).eq("id", str(user_id))
    if not await condition.on(change, "display_name"):
        raise PreconditionFailed if condition.stated else UserGone
