"""The audit log: who did what to an account, when and from where; without secrets."""

import logging
import re
from typing import Final
from uuid import UUID

from kernel.errors import ApiError
from kernel.supabase import AsService
from kernel.web.call import Call

log = logging.getLogger(__name__)

_ACTION: Final = re.compile("[a-z][a-z0-9_]{1,62}")


class Audit:
    """Writes entries about the current request: `await audit("login", user_id=…)`.

    A slice names its own actions in the past tense: `await audit("report_exported", user_id=…)`.
    """

    def __init__(self, db: AsService, call: Call) -> None:
        self._db, self._call = db, call

    async def __call__(
        self,
        action: str,
        *,
        user_id: UUID | None = None,
        email: str | None = None,
        **details: str,
    ) -> None:
        """Write an entry; name the account by id or, if that is unknown, by address.

        The entry's actor is the request's caller. If the entry cannot be written, the same content
        is logged as an error, and the response does not change. Raises ValueError for an action
        with anything but lower-case letters, digits and `_`.
        """
        if not _ACTION.fullmatch(action):
            raise ValueError(f"{action!r} is not the name of an action, such as report_exported")
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
