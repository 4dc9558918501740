from fastapi import APIRouter, Response, status

from kernel.web import LOCATION, PREFIX, Answer, Services

from ..shared.notes import Note
from . import handler
from .schema import NewNote

router = APIRouter(tags=["notes"])


@router.post("/notes", status_code=status.HTTP_201_CREATED, responses={201: LOCATION})
async def create_note(new: NewNote, response: Response, services: Services) -> Answer[Note]:
    """Write a note; the `Location` header has its URL."""
    note = await services.call(handler.create_note, new=new)
    response.headers["Location"] = f"{PREFIX}/notes/{note.id}"
    return Answer(note)
