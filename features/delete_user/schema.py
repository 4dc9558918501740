from pydantic import Field

from kernel.web import Body, Password


class Deletion(Body):
    """Proof of who deletes the own account; no body is needed within ten minutes of a login."""

    current_password: Password | None = Field(
        default=None, description="needed by the owner whose login is older than ten minutes"
    )
