"""Counts the mails of each inbox, so that none gets too many."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kernel.core.joined import Joined
from kernel.supabase import AsService


class Inboxes:
    """The SQL function that decides; mails at the same time share a call."""

    def __init__(self, db: AsService) -> None:
        self._db = db
        self._admitting = Joined(self._admit_all)

    async def admit(self, mail_id: UUID, *, recipient: str, kind: str, security: bool) -> bool:
        """Count this mail, and return whether it may be sent; a repeated one may."""
        return await self._admitting.ask(
            {"mail": str(mail_id), "recipient": recipient, "kind": kind, "security": security}
        )

    async def _admit_all(self, mails: Sequence[dict[str, Any]]) -> list[bool]:
        admitted = await self._db.rpc("admit_mails", mails=mails)
        return [bool(admitted[one["mail"]]) for one in mails]
