from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import Conflict, NotFound


class DeadLetterNotFound(NotFound):
    """There is no dead letter with this id."""

    code = "DEAD_LETTER_NOT_FOUND"
    message = "There is no such dead letter. It may be archived."


class DeadLetterSettled(Conflict):
    """It was replayed or discarded before."""

    code = "DEAD_LETTER_SETTLED"
    message = "This dead letter was replayed or discarded before."


class DeadLetterUnreadable(Conflict):
    """It is a message that cannot be read, so there is no job to run."""

    code = "DEAD_LETTER_UNREADABLE"
    message = "No worker can read this message, so it cannot be replayed. Discard it."


class DeadLetterGone(Conflict):
    """Its event or its run is archived, after 90 days."""

    code = "DEAD_LETTER_TOO_OLD"
    message = "The event of this dead letter is archived, so its job cannot run. Discard it."


class Replay(BaseModel):
    """A replay that was accepted."""

    id: UUID
    dead_letter_id: UUID = Field(description="the id of the run, too")
    created_at: datetime
