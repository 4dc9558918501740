"""Who calls: the verified content of an access token, or nobody."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the verified content of an access token, or nobody.

    `role` is `app_metadata.role`, which only the service can set (unlike `user_metadata`).
    `logged_in_at` is when the session's user last proved who they are, in seconds since 1970; 0
    where the token does not say. A refreshed token keeps it.
    """

    user_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = None
    expires_at: int = 0
    logged_in_at: int = 0
    token: str | None = None

    def __repr__(self) -> str:
        """Name the caller without the token: a repr ends up in logs."""
        return f"Caller(user_id={self.user_id}, session_id={self.session_id}, role={self.role!r})"


ANONYMOUS: Final = Caller()
