"""Sessions, as the API returns them."""

from typing import Literal

from pydantic import BaseModel, Field

from features.shared.users import User


class Session(BaseModel):
    """An access token for requests and a refresh token for the next session."""

    user: User
    access_token: str = Field(
        description="send it as 'Authorization: Bearer …'", examples=["eyJhbGciOi…"]
    )
    refresh_token: str = Field(
        description="works once", examples=["the-refresh-token-of-the-session"]
    )
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a scheme, not a secret
    expires_in: int = Field(description="seconds until the access token expires", examples=[1800])
    expires_at: int = Field(
        description="the time of expiry, in seconds since 1970 (UTC)", examples=[1795766400]
    )
