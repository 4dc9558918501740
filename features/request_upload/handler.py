from datetime import timedelta
from typing import Final

from features.shared.files import BUCKET, STORED_AS_STATED, UNKNOWN, File, FileChanged
from kernel.cache import Announce
from kernel.errors import Conflict, Forbidden
from kernel.supabase import AsCaller, StorageAsCaller

from .schema import NewFile, ResumableUpload, Upload, UploadOver

_VALID: Final = timedelta(hours=2)  # Storage's own; the row waits for an hour longer


async def request_upload(
    db: AsCaller, storage: StorageAsCaller, announce: Announce, *, new: NewFile
) -> Upload:
    """Store what the file will be, and return where its bytes go.

    Raises UploadOver if a repeated request finds its file uploaded or deleted.
    """
    created = await db.table("files").insert(new.model_dump(exclude_none=True)).execute()
    file = File.model_validate(created.data[0])
    await announce(FileChanged(user_id=file.owner_id, file_id=file.id))
    try:
        target = await storage.upload_target(BUCKET, str(file.id))
    except (Forbidden, Conflict):
        raise UploadOver from None
    kind = new.content_type if new.content_type in STORED_AS_STATED else UNKNOWN
    return Upload(
        file=file,
        url=target.url,
        headers={"content-type": kind},
        resumable=ResumableUpload(
            url=target.resumable_url,
            headers={"x-signature": target.token},
            metadata={"bucketName": BUCKET, "objectName": str(file.id), "contentType": kind},
        ),
        expires_at=file.created_at + _VALID,
    )
