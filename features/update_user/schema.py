from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from kernel.errors import Conflict, Unavailable
from kernel.web import Body, Email, Line, Password, invalid


class UserChanges(Body):
    """The changes; at least one field."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    email: Email | None = Field(
        default=None, description="takes effect when it is confirmed, by a link that is sent there"
    )
    display_name: (
        Annotated[Line, Field(min_length=1, max_length=80, examples=["Ada Lovelace"])] | None
    ) = Field(default=None, description="null takes the name away")

    current_password: Password | None = Field(
        default=None,
        description="required for a new address, unless the login is younger than ten minutes",
    )

    @property
    def renames(self) -> bool:
        """Whether to change the name."""
        return "display_name" in self.model_fields_set

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.email is None and not self.renames:
            raise invalid("Send email, display_name or both.")
        return self


class EmailTaken(Conflict):
    """The address has an account; returned only if addresses need no confirmation."""

    code = "EMAIL_TAKEN"
    message = "There is another account with this e-mail address."


class PartialUpdate(Unavailable):
    """Supabase Auth accepted its part of the change, but the database refused the other."""

    code = "PARTIAL_UPDATE"
    message = "Only a part was changed: see details, and send the failed part again."
    retry_after = None  # the whole would be sent again, and a second mail with it
