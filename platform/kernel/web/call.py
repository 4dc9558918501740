"""One call of the API: what the Edge has determined about it."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from kernel.cache.stored import RenderedResponse
from kernel.core.caller import ANONYMOUS, Caller
from kernel.core.languages import preferred
from kernel.limits.policy import Decision
from kernel.observe.metrics import CacheResult
from kernel.supabase.idempotency import IdempotencyKey

SCOPE_KEY: Final = "kernel.call"
REFUSED: Final = "kernel.refused"
"""The scope key of the ApiError for a request that the server itself refused."""

_USER_AGENT_CHARACTERS: Final = 200


@dataclass(slots=True, kw_only=True)
class Call:
    """What is known of the request: its id, the client's address, its slice and its caller.

    `headers` are the request's, raw, with lower-case names; they hold secrets.
    `limits` is the client's standing with the policies that count the request, `cache` the result
    of a cached read: hit, miss, stale or bypass. `sent_id` is the caller's own X-Request-ID; only
    the access log has it, because several requests, or none, may have the same. `audited` is true
    once the audit log has an entry about the call. `idempotency` is the key of a request that the
    client may repeat. `current` answers what a GET of the path answers this caller, for the slices
    that are conditional. `streams_since` is when a stream began, by time.perf_counter().
    """

    request_id: str
    client_address: str | None
    headers: Iterable[tuple[bytes, bytes]] = field(default=(), repr=False)
    feature: str | None = None
    caller: Caller = ANONYMOUS
    limits: Decision | None = None
    sent_id: str | None = None
    cache: CacheResult | None = None
    audited: bool = False
    idempotency: IdempotencyKey | None = None
    current: Callable[[], Awaitable[RenderedResponse]] | None = field(default=None, repr=False)
    streams_since: float | None = None

    def streams(self) -> None:
        """Note that the response is a stream: its time in log and metrics ends now."""
        self.streams_since = time.perf_counter()

    @property
    def user_agent(self) -> str:
        """What the client calls itself: printable ASCII, at most 200 characters; may be empty."""
        text = self._header(b"user-agent")[:_USER_AGENT_CHARACTERS]
        return "".join(one if " " <= one <= "~" else " " for one in text).strip()

    @property
    def language(self) -> str | None:
        """The language that the client prefers, like `de` or `pt-br`; None if it names none."""
        return preferred(self._header(b"accept-language"))

    def _header(self, wanted: bytes) -> str:
        return next((value for name, value in self.headers if name == wanted), b"").decode(
            "latin-1"
        )


def call_of(scope: Scope) -> Call:
    """Return the call that the Edge put into the scope.

    Raises RuntimeError if the Edge did not run: then the caller is not verified.
    """
    call: Call | None = scope.get(SCOPE_KEY)
    if call is None:
        raise RuntimeError("the Edge did not see this request: build the application by create_app")
    return call
