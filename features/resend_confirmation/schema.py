from pydantic import BaseModel

from kernel.web import Body, Email


class Unconfirmed(Body):
    """The address that waits for its confirmation."""

    email: Email


class MailRequested(BaseModel):
    """One response for every address, so that it does not reveal accounts."""

    message: str = (
        "If this address waits for its confirmation, another message is on its way to it."
    )
