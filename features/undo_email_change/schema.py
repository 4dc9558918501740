from pydantic import BaseModel

from kernel.errors import Conflict, Unauthenticated
from kernel.web import Body, MailedToken


class Undo(Body):
    """The token from the mail to the old address."""

    token: MailedToken


class Undone(BaseModel):
    """What happens next."""

    message: str = "The old address counts again. A link to choose a new password is on its way."


class InvalidUndoToken(Unauthenticated):
    """Unknown, used or too old, or its account is closed: one answer for all."""

    code = "INVALID_UNDO_TOKEN"
    message = "This link does not count (any more)."


class OldAddressTaken(Conflict):
    """Meanwhile somebody else has an account with the old address, and uses it."""

    code = "EMAIL_TAKEN"
    message = "Another account has this e-mail address by now: write to us."
