from uuid import UUID

from fastapi import APIRouter

from kernel.web import Answer, Services, raises

from ..shared.notes import Note, NoteNotFound
from . import handler
from .schema import NewNote

router = APIRouter(tags=["notes"])


@router.put("/notes/{note_id}", responses=raises(NoteNotFound))
async def change_note(note_id: UUID, new: NewNote, services: Services) -> Answer[Note]:
    """Replace the content of one of your own notes."""
    return Answer(await services.call(handler.change_note, note_id=note_id, new=new))
