from typing import Literal

from pydantic import Field

from kernel.errors import ApiError, Conflict, Unauthenticated
from kernel.web import Body, MailedToken, NewPassword


class Confirmation(Body):
    """The token from the mail, what the mail was about, and a password where one is asked for."""

    token: MailedToken
    type: Literal["signup", "email_change"] = "signup"
    password: NewPassword | None = Field(
        default=None,
        description="for a new account: the password that counts from now on; needed where several "
        "people signed up with the address (PASSWORD_REQUIRED)",
    )


class InvalidConfirmationToken(Unauthenticated):
    """Unknown, used or too old, or its account is closed: one answer for all."""

    code = "INVALID_CONFIRMATION_TOKEN"
    message = "This link does not count (any more): ask for a new one."


class PasswordRequired(ApiError):
    """Several people signed up with the address: who opens the link chooses the password."""

    status = 422
    code = "PASSWORD_REQUIRED"
    message = "More than one sign-up named this address: send the password that is to count."


class AddressTaken(Conflict):
    """While the change waited, somebody else got an account with the new address."""

    code = "EMAIL_TAKEN"
    message = "Another account has this e-mail address by now."
