"""The caller of a request: the verified claims of an access token, or anonymous."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The verified claims of an access token; anonymous when `user_id` is None.

    `role` is `app_metadata.role`, which only the service can set (unlike `user_metadata`).
    `logged_in_at` is the time of the last login in this session, in seconds since 1970, or 0 if the
    token does not contain it. A refreshed token keeps it.
    """

    user_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = None
    expires_at: int = 0
    logged_in_at: int = 0
    token: str | None = None

    def __repr__(self) -> str:
        """Return the ids without the token: a repr ends up in logs."""
        return f"Caller(user_id={self.user_id}, session_id={self.session_id}, role={self.role!r})"


ANONYMOUS: Final = Caller()
