from typing import Literal

from pydantic import BaseModel

from kernel.errors import Conflict, Unauthenticated
from kernel.web import Body, MailedToken


class Proof(Body):
    """The token from the mail, and what the mail was about."""

    token: MailedToken
    type: Literal["signup", "email_change"] = "signup"


class OneOfTwo(BaseModel):
    """Where Supabase Auth wants a change confirmed at both addresses: the other one is missing."""

    message: str = "Confirmed. Now open the link that was sent to your other address."


class InvalidConfirmationToken(Unauthenticated):
    """Unknown, used or too old, or its account is closed: one answer for all."""

    code = "INVALID_CONFIRMATION_TOKEN"
    message = "This link does not count (any more): ask for a new one."


class AddressTaken(Conflict):
    """While the change waited, somebody else got an account with the new address."""

    code = "EMAIL_TAKEN"
    message = "Another account has this e-mail address by now."
