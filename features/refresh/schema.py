from typing import Annotated

from pydantic import Field

from kernel.errors import Unauthenticated
from kernel.web import Body, Text


class Renewal(Body):
    """Which session goes on."""

    refresh_token: Annotated[Text, Field(repr=False, examples=["the-refresh-token-of-the-session"])]


class InvalidRefreshToken(Unauthenticated):
    """Unknown, malformed, used up, or its session has ended: the same answer for all of them."""

    code = "INVALID_REFRESH_TOKEN"
    message = "This refresh token is not valid (any more): log in again."
