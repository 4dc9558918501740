"""One call of the API: what the Edge found out about it, for everything that runs after."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from kernel.core.caller import ANONYMOUS, Caller
from kernel.limits.policy import Decision
from kernel.observe.metrics import CacheResult

SCOPE_KEY: Final = "kernel.call"
REFUSED: Final = "kernel.refused"
"""Where the server puts, into the scope, the ApiError for a request that it did not take."""


@dataclass(slots=True, kw_only=True)
class Call:
    """What is known of the request: its id, the client's address, its slice and its caller.

    `limits` says where the client stands with the policies that the request counts to, `cache` what
    became of a cached read: hit, miss, stale or bypass. `sent_id` is the caller's own X-Request-ID,
    which is in the access log and nowhere else: several requests, or none, may have it.
    """

    request_id: str
    client_address: str | None
    feature: str | None = None
    caller: Caller = ANONYMOUS
    limits: Decision | None = None
    sent_id: str | None = None
    cache: CacheResult | None = None


def call_of(scope: Scope) -> Call:
    """Return the call that the Edge put into the scope.

    Raises RuntimeError when the Edge did not run: then nobody has checked the caller.
    """
    call: Call | None = scope.get(SCOPE_KEY)
    if call is None:
        raise RuntimeError("the Edge did not see this request: build the application by create_app")
    return call
