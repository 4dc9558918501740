from pydantic import BaseModel

from kernel.web import Body, Email


class Forgotten(Body):
    """The address of the account."""

    email: Email


class ResetRequested(BaseModel):
    """One response for every address, so that it does not reveal accounts."""

    message: str = "If this address has an account, a message with a link is on its way to it."
