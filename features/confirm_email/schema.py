from typing import Literal

from pydantic import Field

from kernel.errors import Conflict, Unauthenticated, ValidationFailed
from kernel.web import Body, MailedToken, NewPassword


class Confirmation(Body):
    """The token from the mail, the purpose of the mail, and a password if required."""

    token: MailedToken
    type: Literal["signup", "email_change"] = "signup"
    password: NewPassword | None = Field(
        default=None,
        description="for a new account: its password from now on; required if several "
        "people signed up with the address (PASSWORD_REQUIRED)",
    )


class InvalidConfirmationToken(Unauthenticated):
    """An unknown, used or expired token, or a closed account: one response for all."""

    code = "INVALID_CONFIRMATION_TOKEN"
    message = "This link is invalid or has expired: ask for a new one."


class PasswordRequired(ValidationFailed):
    """Several sign-ups used the address: the owner of the mailbox chooses the password."""

    code = "PASSWORD_REQUIRED"
    message = "More than one sign-up used this address: send the password for the account."
    field = "body.password"
    field_message = None


class AddressTaken(Conflict):
    """Another account got the new address before the confirmation."""

    code = "EMAIL_TAKEN"
    message = "Another account now has this e-mail address."
