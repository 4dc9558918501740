"""Users, as Supabase Auth and the profiles store them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from kernel.events import Event


class Person(BaseModel):
    """A user with all fields."""

    id: UUID
    email: str
    display_name: str | None
    created_at: datetime
    email_confirmed_at: datetime | None


class Profile(BaseModel):
    """The public part of a user."""

    id: UUID
    display_name: str | None
    created_at: datetime


class UserChanged(Event):
    """A user or profile has changed; the topic belongs to the application's own tables."""

    user_id: UUID


class UserConfirmed(Event):
    """An address was confirmed; the topic belongs to the application's own tables."""

    user_id: UUID
