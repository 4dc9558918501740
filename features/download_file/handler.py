from datetime import UTC, datetime, timedelta
from uuid import UUID

from features.shared.files import BUCKET, File, FileNotFound
from kernel.errors import Forbidden, NotFound
from kernel.supabase import DOWNLOAD_SECONDS, AsCaller, StorageAsCaller

from .schema import Download, FileNotReady


async def download_file(db: AsCaller, storage: StorageAsCaller, *, file_id: UUID) -> Download:
    """Return a URL whose response is an attachment with the file's name.

    Raises FileNotFound and FileNotReady.
    """
    found = await db.table("files").select("*").eq("id", str(file_id)).limit(1).execute()
    if not found.data:
        raise FileNotFound(file_id=file_id)
    file = File.model_validate(found.data[0])
    if file.state != "ready":
        raise FileNotReady
    expires_at = datetime.now(UTC) + timedelta(seconds=DOWNLOAD_SECONDS)
    try:
        url = await storage.download_url(BUCKET, str(file_id), save_as=file.name)
    except (Forbidden, NotFound):  # it was deleted in this moment
        raise FileNotFound(file_id=file_id) from None
    return Download(url=url, expires_at=expires_at)
