import contextlib
from uuid import UUID

from pydantic import SecretStr, ValidationError

from features.shared.users import UserChanged, UserNotFound
from kernel.cache import Announce
from kernel.events import Event, known_events
from kernel.identity import Audit, FreshLogin, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Caller


async def delete_user(
    auth: AuthAdmin,
    db: AsService,
    revocations: Revocations,
    caller: Caller,
    fresh: FreshLogin,
    announce: Announce,
    audit: Audit,
    *,
    user_id: UUID,
    current_password: SecretStr | None,
) -> None:
    """Delete the user; from then on all tokens of theirs are refused.

    The database deletes what belongs to the user and writes events for it, which are announced
    here: of more than 10,000 rows the relay drops what is cached of the rest. Raises UserNotFound,
    or ReauthenticationRequired for users who delete themselves.
    """
    if caller.user_id == user_id:
        await fresh.require(current_password)
    before: int = await db.rpc("last_event")
    if not await auth.delete_user(user_id):
        raise UserNotFound(user_id=user_id)
    await revocations.publish(user_id)
    await announce(UserChanged(user_id=user_id), *await _written(db, after=before))
    await audit("user_deleted", user_id=user_id)


async def _written(db: AsService, *, after: int) -> list[Event]:
    """Return what the database told since: other writers' events among it do no harm."""
    kinds = known_events()
    found: list[Event] = []
    for row in await db.rpc("events_after", event_id=after):
        # A topic or field of a newer version is left to the relay that knows it.
        with contextlib.suppress(KeyError, ValidationError):
            found += map(kinds[row["topic"]].model_validate, row["items"])
    return found
