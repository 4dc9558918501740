"""Users, as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import Unauthenticated


class User(BaseModel):
    """A user, whole: shown to that user alone (and to admins)."""

    id: UUID
    email: str
    display_name: str | None
    created_at: datetime
    email_confirmed_at: datetime | None = Field(
        description="null while the address waits for its confirmation"
    )


class UserGone(Unauthenticated):
    """The token is valid, but its user is not there any more."""

    code = "USER_GONE"
    message = "This account does not exist any more."
