"""Things: what the kit's slices write and read; kit/schema.sql has their table."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool

from kernel.errors import NotFound
from kernel.events import Event
from kernel.web.fields import Body, Line, Text


class Thing(BaseModel):
    """A thing; until it is published only its author can see it."""

    id: UUID
    title: str
    content: str
    published: bool
    author_id: UUID
    created_at: datetime
    updated_at: datetime


class Draft(Body):
    """The content that an author writes."""

    title: Annotated[Line, Field(min_length=3, max_length=200)]
    content: Annotated[Text, Field(max_length=100_000)]
    published: StrictBool = False


class ThingNotFound(NotFound):
    """The thing does not exist, or it is a draft of another user."""

    code = "THING_NOT_FOUND"
    message = "This thing does not exist."


class ThingChanged(Event):
    """A thing was written, changed or deleted."""

    thing_id: UUID


class ThingPublished(Event):
    """A thing was published for the first time."""

    thing_id: UUID
    author_id: UUID
