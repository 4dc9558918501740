from pydantic import BaseModel

from kernel.web import Body, Email


class Forgotten(Body):
    """Whose password is to be reset."""

    email: Email


class ResetRequested(BaseModel):
    """The same answer for every address, so that it tells nobody who has an account."""

    message: str = "If this address has an account, a message with a link is on its way to it."
