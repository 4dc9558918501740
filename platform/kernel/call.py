"""One call of the API: what the Edge found out about it, for everything that runs after."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from starlette.types import Scope

from kernel.limits.policy import Decision

CacheResult = Literal["hit", "miss", "stale", "bypass"]

SCOPE_KEY: Final = "kernel.call"
REFUSED: Final = "kernel.refused"
"""Where the server puts, into the scope, the ApiError for a request that it did not take."""

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the verified content of an access token, or nobody.

    `role` is `app_metadata.role`, which only the service can set (unlike `user_metadata`).
    """

    user_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = None
    expires_at: int = 0
    token: str | None = None

    def __repr__(self) -> str:
        """Name the caller without the token: a repr ends up in logs."""
        return f"Caller(user_id={self.user_id}, session_id={self.session_id}, role={self.role!r})"


ANONYMOUS: Final = Caller()


@dataclass(slots=True, kw_only=True)
class Call:
    """What is known of the request: its id, the client's address, its slice and its caller.

    `limits` says where the client stands with the policies that the request counts to, `cache` what
    became of a cached read: hit, miss, stale or bypass.
    """

    request_id: str
    client_address: str | None
    feature: str | None = None
    caller: Caller = ANONYMOUS
    limits: Decision | None = None
    cache: CacheResult | None = None


def call_of(scope: Scope) -> Call:
    """Return the call that the Edge put into the scope.

    Raises RuntimeError when the Edge did not run: then nobody has checked the caller.
    """
    call: Call | None = scope.get(SCOPE_KEY)
    if call is None:
        raise RuntimeError("the Edge did not see this request: build the application by create_app")
    return call
