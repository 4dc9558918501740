"""Users, as the API returns them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import NotFound, Unauthenticated
from kernel.events import Event


class User(BaseModel):
    """A full user: visible only to that user and to admins."""

    id: UUID
    email: str | None = Field(
        description="null for anonymous users, and for those with only a telephone number",
        examples=["ada@example.com"],
    )
    display_name: str | None = Field(examples=["Ada Lovelace"])
    created_at: datetime
    email_confirmed_at: datetime | None = Field(
        description="null while the address waits for its confirmation"
    )


class UserGone(Unauthenticated):
    """The token is valid, but its user was deleted."""

    code = "USER_GONE"
    message = "This account no longer exists."


class UserNotFound(NotFound):
    """There is no user with this id."""

    code = "USER_NOT_FOUND"
    message = "This user does not exist."


class UserChanged(Event):
    """A visible part of a user has changed: name, address, confirmation, or all of it."""

    user_id: UUID


class UserConfirmed(Event):
    """A user's address was confirmed for the first time."""

    user_id: UUID


class ConfirmationRequested(Event):
    """A sign-up used an address, which may have an account; it waits for confirmation."""

    confirmation_id: UUID


class EmailChangeRequested(Event):
    """A user requested another address, which needs confirmation."""

    change_id: UUID


class AccountChanged(Event):
    """An account was deleted, or has a new password or address: notify its owner."""

    notice_id: UUID


class NewLogin(Event):
    """A user logged in from a network or device that is new to the account."""

    notice_id: UUID
