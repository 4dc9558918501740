from typing import Annotated

from pydantic import Field

from kernel.errors import Unauthenticated
from kernel.web import Body, Text


class Renewal(Body):
    """The session to continue."""

    refresh_token: Annotated[Text, Field(repr=False, examples=["the-refresh-token-of-the-session"])]


class InvalidRefreshToken(Unauthenticated):
    """Unknown, malformed or used token, or an ended session: one response for all."""

    code = "INVALID_REFRESH_TOKEN"
    message = "This refresh token is invalid or has expired: log in again."
