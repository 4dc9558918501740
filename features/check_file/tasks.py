import hashlib
from uuid import UUID

from adapters.clamd import Clamd, NotScanned
from features.shared.files import BUCKET, File, FileUploaded
from kernel.errors import NotFound
from kernel.jobs import job, minutes
from kernel.supabase import AsService, StorageAsService

from .handler import FIRST_BYTES, Content, fault


@job(on=FileUploaded, once_per="file_id", timeout=minutes(10))
async def check(file_id: UUID, db: AsService, storage: StorageAsService, clamd: Clamd) -> None:
    """Make the file ready or rejected; the object of a rejected file is removed.

    The content is read once, in pieces. A scanner that is away is an error: the file waits for it.
    """
    found = await db.table("files").select("*").eq("id", str(file_id)).execute()
    if not found.data:  # it was deleted meanwhile
        return
    file = File.model_validate(found.data[0])
    reason: str | None = file.reason
    if file.state == "checking":
        reason, sha256 = await _check(file, storage, clamd)
        await db.rpc("finish_file_check", file_id=str(file_id), sha256=sha256, reason=reason)
    if reason is not None:
        await storage.remove(BUCKET, [str(file_id)])


async def _check(
    file: File, storage: StorageAsService, clamd: Clamd
) -> tuple[str | None, str | None]:
    """Return the reason to reject it, or None and its checksum."""
    try:
        content = await _read(file, storage, clamd)
    except NotFound:
        return "missing", None
    except NotScanned:
        return "not_scanned", None
    reason = fault(file, content)
    return reason, None if reason else content.sha256


async def _read(file: File, storage: StorageAsService, clamd: Clamd) -> Content:
    size, first, digest = 0, b"", hashlib.sha256()
    async with storage.read(BUCKET, str(file.id)) as found, clamd.scan() as scan:
        async for piece in found.chunks:
            size += len(piece)
            if size > file.size:  # it is too large already
                break
            first += piece[: FIRST_BYTES - len(first)]
            digest.update(piece)
            await scan.feed(piece)
        malware = await scan.result()
    return Content(
        stored_as=found.content_type,
        size=size,
        first=first,
        sha256=digest.hexdigest(),
        malware=malware,
    )
