from uuid import UUID

from fastapi import APIRouter

from kernel.web import Answer, Services, raises

from ..shared.notes import Note, NoteNotFound
from . import handler
from .cache import NOTE

router = APIRouter(tags=["notes"])


@router.get("/notes/{note_id}", responses=raises(NoteNotFound))
@NOTE.serves
async def read_note(note_id: UUID, services: Services) -> Answer[Note]:
    """Read one of your own notes."""
    return Answer(await services.call(handler.read_note, note_id=note_id))
