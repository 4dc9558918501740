from kernel.cache import Announce
from kernel.supabase import AsCaller

from ..shared.notes import Note, NoteChanged
from .schema import NewNote


async def create_note(db: AsCaller, announce: Announce, *, new: NewNote) -> Note:
    """Store the note; the database makes the caller its owner."""
    created = await db.table("notes").insert(new.model_dump(mode="json")).execute()
    note = Note.model_validate(created.data[0])
    await announce(NoteChanged(note_id=note.id, user_id=note.owner_id))
    return note
