import logging
from uuid import UUID

from postgrest import APIError
from supabase_auth.errors import AuthApiError

from features.shared.users import User, UserChanged, UserGone
from kernel.cache import Announce
from kernel.errors import ApiError
from kernel.identity import Audit
from kernel.supabase import AsCaller, AuthApi

from .schema import EmailTaken, PartialUpdate, UserChanges

log = logging.getLogger(__name__)

_TELLING = {"email_exists", "over_email_send_rate_limit"}


async def update_user(
    auth: AuthApi,
    db: AsCaller,
    changes: UserChanges,
    *,
    user_id: UUID,
    token: str,
    announce: Announce,
    audit: Audit,
) -> User:
    """Change the caller's user and return it; a new address is not in it before it is confirmed.

    `token` is the user's access token. Raises UserGone, EmailTaken, or PartialUpdate where the
    address was changed and the name was not.
    """
    found = await db.rpc("me")
    if not found:
        raise UserGone
    user = User.model_validate(found[0])
    changed = []
    if changes.email is not None and changes.email != user.email:
        await _change_email(auth, token, changes.email)
        await audit("email_change_requested", user_id=user_id)
        changed.append("email")
    if changes.renames:
        try:
            await _rename(db, user_id, changes.display_name)
        except (ApiError, APIError) as error:
            if not changed:
                raise
            log.exception("The second half of a change failed")
            raise PartialUpdate(changed=changed, failed=["display_name"]) from error
        user = user.model_copy(update={"display_name": changes.display_name})
    await announce(UserChanged(user_id=user_id))
    return user


async def _change_email(auth: AuthApi, token: str, email: str) -> None:
    """Ask for the address.

    Where addresses are confirmed the answer tells nobody who has an account: Auth refuses a taken
    address before it counts mails, so its silence about a free one would tell, too.
    """
    try:
        await auth.change(token, email=email)
    except AuthApiError as error:
        if error.code not in _TELLING:
            raise
        if not await auth.confirms_addresses():
            if error.code == "email_exists":
                raise EmailTaken from None
            raise


async def _rename(db: AsCaller, user_id: UUID, name: str | None) -> None:
    change = db.table("profiles").update({"display_name": name})
    rows = await change.eq("id", str(user_id)).execute()
    if not rows.data:
        raise UserGone
