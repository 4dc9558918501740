from uuid import UUID

from features.shared.files import File, FileNotFound
from kernel.supabase import AsCaller


async def get_file(db: AsCaller, *, file_id: UUID) -> File:
    """Return the file if it is the caller's. Raises FileNotFound."""
    found = await db.table("files").select("*").eq("id", str(file_id)).limit(1).execute()
    if not found.data:
        raise FileNotFound(file_id=file_id)
    return File.model_validate(found.data[0])
