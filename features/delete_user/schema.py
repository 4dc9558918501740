from pydantic import Field

from kernel.web import Body, Password


class Deletion(Body):
    """Proof of the account's owner; no body is needed within ten minutes of a login."""

    current_password: Password | None = Field(
        default=None, description="required for the owner if the login is older than ten minutes"
    )
