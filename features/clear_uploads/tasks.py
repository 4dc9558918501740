import logging
from typing import Any, Final
from uuid import UUID

from features.shared.files import BUCKET, FileDeleted
from kernel.jobs import daily, every, job, minutes
from kernel.supabase import AsService, StorageAsService

log = logging.getLogger(__name__)

_BATCH: Final = 1000


@job(on=FileDeleted, once_per="file_id")
async def remove_object(file_id: UUID, storage: StorageAsService) -> None:
    """Remove the object of a file that was deleted; there may be none."""
    await storage.remove(BUCKET, [str(file_id)])


@job(schedule=every(minutes(60)), timeout=minutes(5))
async def clear_pending(db: AsService) -> None:
    """Delete files that were requested three hours ago and never uploaded."""
    cleared = _BATCH
    while cleared >= _BATCH:
        cleared = await db.rpc("clear_pending_files", batch=_BATCH)


@job(schedule=daily("02:30"), timeout=minutes(10))
async def remove_unused(db: AsService, storage: StorageAsService) -> None:
    """Remove objects that no file needs: of failed jobs, and of rows that were restored or lost."""
    after: str | None = ""
    while after is not None:
        seen: dict[str, Any] = await db.rpc("unused_objects", after=after, batch=_BATCH)
        after = seen["last"]
        if seen["names"]:
            await storage.remove(BUCKET, seen["names"])
            log.warning("Objects without a file", extra={"removed": len(seen["names"])})
