from uuid import UUID

from kernel.cache import Announce
from kernel.errors import PreconditionFailed
from kernel.supabase import AsCaller
from kernel.web import Precondition

from ..shared.notes import Note, NoteChanged, NoteNotFound
from .schema import NewNote


async def change_note(
    db: AsCaller, announce: Announce, condition: Precondition, *, note_id: UUID, new: NewNote
) -> Note:
    """Replace the caller's own note; row security protects all others.

    Raises NoteNotFound, and PreconditionFailed for an own note that has changed.
    """
    notes = db.table("notes")
    change = notes.update(new.model_dump(mode="json")).eq("id", str(note_id))
    changed = await condition.on(change, "updated_at")
    if not changed:
        seen = await notes.select("id").eq("id", str(note_id)).limit(1).execute()
        raise PreconditionFailed if seen.data else NoteNotFound(note_id=note_id)
    note = Note.model_validate(changed[0])
    await announce(NoteChanged(note_id=note.id, user_id=note.owner_id))
    return note
