"""Notes, as the API returns them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from kernel.errors import NotFound
from kernel.events import Event


class Note(BaseModel):
    """A note, which only its owner can see."""

    id: UUID
    label: str
    owner_id: UUID
    created_at: datetime
    updated_at: datetime


class NoteNotFound(NotFound):
    """There is no such note, or it is another user's."""

    code = "NOTE_NOT_FOUND"
    message = "This note does not exist."


class NoteChanged(Event):
    """A note was written, changed or deleted."""

    note_id: UUID
    user_id: UUID


class NoteCreated(Event):
    """A note was written."""

    note_id: UUID
    user_id: UUID
