from uuid import UUID

from fastapi import APIRouter, status

from kernel.web import Services, raises

from ..shared.notes import NoteNotFound
from . import handler

router = APIRouter(tags=["notes"])


@router.delete(
    "/notes/{note_id}", status_code=status.HTTP_204_NO_CONTENT, responses=raises(NoteNotFound)
)
async def delete_note(note_id: UUID, services: Services) -> None:
    """Delete one of your own notes permanently."""
    await services.call(handler.delete_note, note_id=note_id)
