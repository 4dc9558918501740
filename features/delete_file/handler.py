from uuid import UUID

from features.shared.files import File, FileChanged, FileNotFound
from kernel.cache import Announce
from kernel.supabase import AsCaller


async def delete_file(db: AsCaller, announce: Announce, *, file_id: UUID) -> None:
    """Delete the caller's file; the database tells of it, and a job removes the object.

    Raises FileNotFound.
    """
    deleted = await db.table("files").delete().eq("id", str(file_id)).execute()
    if not deleted.data:
        raise FileNotFound(file_id=file_id)
    owner_id = File.model_validate(deleted.data[0]).owner_id
    await announce(FileChanged(user_id=owner_id, file_id=file_id))
