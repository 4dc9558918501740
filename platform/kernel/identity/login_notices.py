"""Logins from a network or device that an account was not seen with: the owner hears of them."""

import logging
from uuid import UUID

from kernel.errors import ApiError
from kernel.identity.devices import device_of, network_of
from kernel.supabase import AsService
from kernel.web.call import Call

log = logging.getLogger(__name__)


class LoginNotices:
    """Notes logins where LOGIN_NOTICES is on; else it does nothing and keeps nothing."""

    def __init__(self, db: AsService, call: Call, *, enabled: bool) -> None:
        self._db, self._call, self._enabled = db, call, enabled

    async def note(self, user_id: UUID) -> None:
        """Note a login. The database decides whether it is news; a failure breaks no login."""
        if not self._enabled:
            return
        address = self._call.client_address
        try:
            await self._db.rpc(
                "note_login",
                user_id=str(user_id),
                device=device_of(self._call.user_agent),
                network=network_of(address),
                address=address,
            )
        except ApiError:
            log.exception("A login was not noted", extra={"user_id": str(user_id)})
