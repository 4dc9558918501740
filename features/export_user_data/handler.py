import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from kernel.errors import QuotaExceeded, Unauthenticated
from kernel.identity import Audit
from kernel.supabase import AsCaller
from kernel.web import PREFIX, Caller

from .schema import Export, ExportNotFound, ExportNotReady

_A_DAY = 24 * 3600


@dataclass(frozen=True)
class Archive:
    """An archive of `size` bytes, read in pieces."""

    size: int
    pieces: AsyncIterator[bytes]


async def request_export(db: AsCaller, caller: Caller, audit: Audit) -> Export:
    """Ask for an export, and return the one to wait for: one under way is enough.

    Raises QuotaExceeded after three in a day.
    """
    if caller.user_id is None:
        raise Unauthenticated
    asked = uuid4()
    found = await db.rpc("request_own_export", export_id=str(asked))
    if found is None:
        raise QuotaExceeded(retry_after=_A_DAY, quota="exports a day", limit=3)
    if found == str(asked):
        await audit("export_requested", user_id=caller.user_id, export_id=found)
    return Export(id=UUID(found), status="queued")


async def get_export(db: AsCaller, *, export_id: UUID) -> Export:
    """Return how far it is. Raises ExportNotFound."""
    found = await _own(db, export_id)
    if found["state"] != "ready":
        return Export(id=export_id, status=found["state"])
    url = f"{PREFIX}/users/me/exports/{export_id}/download"
    return Export(id=export_id, status="ready", download_url=url, expires_at=found["expires_at"])


async def open_export(db: AsCaller, caller: Caller, audit: Audit, *, export_id: UUID) -> Archive:
    """Return the archive, of which one piece at a time is in memory.

    Raises ExportNotFound and ExportNotReady.
    """
    found = await _own(db, export_id)
    if found["state"] != "ready":
        raise ExportNotReady
    await audit("export_downloaded", user_id=caller.user_id, export_id=str(export_id))
    first = await _piece(db, export_id, 0)  # a failure is an error response, not half an archive
    return Archive(found["bytes"], _pieces(db, export_id, first, found["chunks"]))


async def _own(db: AsCaller, export_id: UUID) -> dict[str, Any]:
    found: dict[str, Any] | None = await db.rpc("own_export", export_id=str(export_id))
    if found is None:
        raise ExportNotFound(export_id=export_id)
    return found


async def _pieces(db: AsCaller, export_id: UUID, first: bytes, count: int) -> AsyncIterator[bytes]:
    yield first
    for number in range(1, count):
        yield await _piece(db, export_id, number)


async def _piece(db: AsCaller, export_id: UUID, number: int) -> bytes:
    content = await db.rpc("own_export_chunk", export_id=str(export_id), number=number)
    if content is None:
        raise ExportNotFound(export_id=export_id)
    return base64.b64decode(content)
