from pydantic import BaseModel

from kernel.errors import Conflict, Unauthenticated
from kernel.web import Body, MailedToken


class Undo(Body):
    """The token from the mail to the old address."""

    token: MailedToken


class Undone(BaseModel):
    """The next step."""

    message: str = "The old address is restored. A link to choose a new password is on its way."


class InvalidUndoToken(Unauthenticated):
    """An unknown, used or expired token, or a closed account: one response for all."""

    code = "INVALID_UNDO_TOKEN"
    message = "This link is invalid or has expired."


class OldAddressTaken(Conflict):
    """Another account uses the old address now."""

    code = "EMAIL_TAKEN"
    message = "Another account now has this e-mail address: write to us."
