"""The audit log: who did what to an account, when and from where; without secrets."""

import logging
from typing import Literal
from uuid import UUID

from kernel.errors import ApiError
from kernel.supabase import AsService
from kernel.web.call import Call

log = logging.getLogger(__name__)

Action = Literal[
    "login",
    "login_failed",
    "logout",
    "password_changed",
    "password_reset_requested",
    "password_reset",
    "email_change_requested",
    "email_confirmed",
    "user_deleted",
    "user_promoted",
    "user_demoted",
    "token_refused",
    "email_change_undone",
    "reauthentication_required",
    "session_ended",
    "refresh_reused",
    "user_read",
    "settings_changed",
    "forbidden",
]


class Audit:
    """Writes audit entries about the current request: `await audit("login", user_id=…)`."""

    def __init__(self, db: AsService, call: Call) -> None:
        self._db, self._call = db, call

    async def __call__(
        self,
        action: Action,
        *,
        user_id: UUID | None = None,
        email: str | None = None,
        **details: str,
    ) -> None:
        """Write an entry; name the account by id or, if that is unknown, by address.

        The entry's actor is the request's caller. If the entry cannot be written, the same content
        is logged as an error, and the response does not change.
        """
        call = self._call
        call.audited = True
        entry = {
            "action": action,
            "user_id": str(user_id) if user_id else None,
            "actor_id": str(call.caller.user_id) if call.caller.user_id else None,
            "address": call.client_address,
            "request_id": call.request_id,
            "details": details,
        }
        try:
            await self._db.rpc("record_audit", email=email, **entry)
        except ApiError:
            log.exception("An audit entry was not written", extra=entry)
