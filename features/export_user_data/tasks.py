import asyncio
import base64
import io
import zipfile
from typing import Any, Final
from uuid import UUID, uuid4

from features.shared.exports import ExportRequested
from kernel.config import Settings
from kernel.jobs import daily, job, minutes
from kernel.supabase import AsService, SupabaseHttp

from .schema import ExportSettings, ExportTooLarge

_CHUNK: Final = 512 * 1024
_MEGABYTE: Final = 1_000_000


@job(on=ExportRequested, once_per="export_id", queue="cpu", timeout=minutes(10))
def make_archive(export_id: UUID, settings: Settings, own: ExportSettings) -> None:
    """Make the archive of the user's data; an export that was deleted meanwhile needs none.

    After a kill, the next attempt goes on with the part that follows the last one in the database.
    """
    asyncio.run(_make_archive(export_id, settings, own.export_max_megabytes * _MEGABYTE))


@job(schedule=daily("03:00"))
async def request_daily(db: AsService, own: ExportSettings) -> None:
    """Ask for an export of each user in EXPORT_DAILY_USERS; there is none by default."""
    for user_id in own.export_daily_users:
        await db.rpc("request_export", export_id=str(uuid4()), of_user=str(user_id))


async def _make_archive(export_id: UUID, settings: Settings, most: int) -> None:
    async with SupabaseHttp(settings) as http:
        db = AsService(http)
        parts = await _collect(db, export_id, most)
        if parts:
            await _zip(db, export_id, parts)


async def _collect(db: AsService, export_id: UUID, most: int) -> int:
    """Have the database collect all parts; return how many there are, 0 without the export."""
    while True:
        part: dict[str, Any] | None = await db.rpc("collect_export", export_id=str(export_id))
        if part is None:
            return 0
        if part["number"] is None:
            return int(part["parts"])
        if part["size"] > most:
            raise ExportTooLarge(f"the data are larger than {most // _MEGABYTE} MB")


async def _zip(db: AsService, export_id: UUID, parts: int) -> None:
    """Compress the parts into chunks; one part and one chunk at a time are in memory."""
    sink = _Sink()
    sent = 0
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(1, parts + 1):
            part = await db.rpc("export_part", export_id=str(export_id), number=number)
            archive.writestr(part["name"], part["content"])
            sent = await _send(db, export_id, sink, sent, at_least=_CHUNK)
    sent = await _send(db, export_id, sink, sent, at_least=1)
    await db.rpc("finish_export", export_id=str(export_id), chunks=sent, bytes=sink.written)


async def _send(db: AsService, export_id: UUID, sink: "_Sink", sent: int, *, at_least: int) -> int:
    while len(sink.waiting) >= at_least:
        piece = bytes(sink.waiting[:_CHUNK])
        content = base64.b64encode(piece).decode()
        await db.rpc("put_export_chunk", export_id=str(export_id), number=sent, content=content)
        del sink.waiting[:_CHUNK]
        sent += 1
    return sent


class _Sink(io.RawIOBase):
    """A file that cannot seek: what zipfile writes waits here until it is sent."""

    def __init__(self) -> None:
        self.waiting = bytearray()
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.waiting += data
        self.written += len(data)
        return len(data)
