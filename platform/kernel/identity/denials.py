"""Refused calls (403) in the audit log: one row for each user, slice and minute."""

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Final
from uuid import UUID

from kernel.errors import ApiError
from kernel.supabase import AsService
from kernel.web.call import Call

log = logging.getLogger(__name__)

_SECONDS: Final = 60.0
_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 100


class Denials:
    """Writes down who was refused, after the answer and never in its way.

    The database keeps the bound over all processes; this one remembers what it has sent there.
    A flood of refusals costs a look-up each, and no more than 100 writes under way.
    """

    def __init__(self, db: AsService) -> None:
        self._db = db
        self._noted: OrderedDict[tuple[UUID, str], float] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, call: Call) -> None:
        """Note a refused call, unless nobody is known to be its caller or the slice wrote more."""
        user_id, feature = call.caller.user_id, call.feature
        if user_id is None or feature is None or call.audited:
            return
        key, now = (user_id, feature), time.monotonic()
        if now - self._noted.get(key, -_SECONDS) < _SECONDS or len(self._writing) >= _AT_ONCE:
            return
        self._noted[key] = now
        self._noted.move_to_end(key)
        if len(self._noted) > _REMEMBERED:
            self._noted.popitem(last=False)
        task = asyncio.ensure_future(self._write(user_id, feature, call))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def aclose(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing)

    async def _write(self, user_id: UUID, feature: str, call: Call) -> None:
        entry = {
            "user_id": str(user_id),
            "slice": feature,
            "address": call.client_address,
            "request_id": call.request_id,
        }
        try:
            await self._db.rpc("record_denial", **entry)
        except ApiError:
            log.exception("An audit entry was not written", extra=entry)
