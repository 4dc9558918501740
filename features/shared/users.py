"""Users, as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import NotFound, Unauthenticated
from kernel.events import Event


class User(BaseModel):
    """A user, whole: shown to that user alone (and to admins)."""

    id: UUID
    email: str = Field(examples=["ada@example.com"])
    display_name: str | None = Field(examples=["Ada Lovelace"])
    created_at: datetime
    email_confirmed_at: datetime | None = Field(
        description="null while the address waits for its confirmation"
    )


class UserGone(Unauthenticated):
    """The token is valid, but its user is not there any more."""

    code = "USER_GONE"
    message = "This account does not exist any more."


class UserNotFound(NotFound):
    """There is no user with this id."""

    code = "USER_NOT_FOUND"
    message = "This user does not exist."


class UserChanged(Event):
    """Something that is shown of a user has changed: name, address, confirmation, or all of it."""

    user_id: UUID


class UserConfirmed(Event):
    """A user's address counts as confirmed, for the first time."""

    user_id: UUID


class ConfirmationRequested(Event):
    """Somebody signed up with an address, which may have an account; it waits for confirmation."""

    confirmation_id: UUID


class EmailChangeRequested(Event):
    """A user asks for another address, which is to be confirmed."""

    change_id: UUID


class AccountChanged(Event):
    """Password, address or existence of an account changed, and its owner is to hear of it."""

    notice_id: UUID
