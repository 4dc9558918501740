from uuid import UUID

from kernel.supabase import AsCaller

from ..shared.notes import Note, NoteNotFound


async def read_note(db: AsCaller, *, note_id: UUID) -> Note:
    """Return the note; row security hides those of other users.

    Raises NoteNotFound.
    """
    found = await db.table("notes").select("*").eq("id", str(note_id)).limit(1).execute()
    if not found.data:
        raise NoteNotFound(note_id=note_id)
    return Note.model_validate(found.data[0])
