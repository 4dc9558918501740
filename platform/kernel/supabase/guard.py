"""The guard before Auth or PostgREST: its bulkhead and its breakers."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeVar

import aiohttp
import httpx

from kernel.supabase.answers import json_object
from kernel.supabase.breaker import CircuitBreaker
from kernel.supabase.bulkhead import Bulkhead
from kernel.supabase.exchange import Response

NO_ANSWER: Final = (httpx.RequestError, aiohttp.ClientError, OSError)
"""Errors of a call without a response: refused, silent, disconnected, unreadable."""
_SLOW: Final = (httpx.ReadTimeout, TimeoutError)
# aiohttp's is a TimeoutError too, but no slow answer: there was no connection.
_NO_CONNECTION: Final = aiohttp.ConnectionTimeoutError

Answer = TypeVar("Answer", bound=Response)
# Of the service and of the endpoint, as for CircuitBreaker.settle.
_Verdict = tuple[bool | None, bool | None]

_UNKNOWN: Final[_Verdict] = (None, None)
_WORKS: Final[_Verdict] = (True, True)
_ENDPOINT_FAILS: Final[_Verdict] = (True, False)
_SERVICE_DOWN: Final[_Verdict] = (False, None)
_ENDPOINT_SILENT: Final[_Verdict] = (None, False)

_BAD_GATEWAY: Final = 502
_CANCELED: Final = "57014"  # statement_timeout
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
# Connection, resource, shutdown and system errors: faults of the server, not of the query. See
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SERVER_ERRORS: Final = ("08", "53", "57P", "58")


class Guard:
    """The bulkhead and the breakers of one Supabase service, Auth or PostgREST.

    The service's own breaker counts failures that no single request causes: no connection, a lost
    connection, and the statuses from 502 on, which proxies send while the service is down. Each
    endpoint has a breaker of its own. A time-out counts for the endpoint, because one slow query
    makes no other slow. It counts for the service too, as soon as a second endpoint times out and
    nothing has answered in between. A 500 comes from a running server. If it has an SQLSTATE, the
    database has answered and the query was wrong: that is not a failure, unless the query was
    canceled because it took too long. Any other 500 counts only for its endpoint: a broken mail
    server stops sign-ups, but not logins.

    With `each`, an endpoint has at most that many of the places: a slow one leaves some to others.
    """

    def __init__(self, part: str, *, places: int, each: int | None = None) -> None:
        self._part = part
        self._each = each
        self._shares: dict[str, Bulkhead] = {}
        self._bulkhead = Bulkhead(part, places)
        self._whole = CircuitBreaker(part)
        self._endpoints: dict[str, CircuitBreaker] = {}
        self._silent: set[str] = set()  # endpoints, since the part answered last

    async def call(
        self, path: str, send: Callable[[], Awaitable[Answer]], *, slow: bool = False
    ) -> Answer:
        """Return the result of `send`; `path` is relative to the service's URL.

        Time-outs of a `slow` endpoint count only for itself: it waits for another server, such as
        the mail server. Raises CircuitOpen or BulkheadFull if `send` was not called, and the
        errors of `send`.
        """
        name = endpoint_name(path)
        whole, endpoint = self._whole, self._endpoint(name)
        whole.check()
        endpoint.check()
        async with self._share(name), self._bulkhead:
            # Both may have opened while we waited. Check the endpoint first: if the service's
            # breaker granted its only probe and the call were then refused, no probe would ever be
            # possible again.
            endpoint.check()
            tickets = whole.admit(), endpoint.admit()
            verdict = _UNKNOWN
            try:
                response = await send()
                verdict = _verdict(response)
            except NO_ANSWER as error:
                if not isinstance(error, _SLOW) or isinstance(error, _NO_CONNECTION):
                    verdict = _SERVICE_DOWN
                else:
                    verdict = _ENDPOINT_SILENT if slow else self._silence(name)
                raise
            finally:
                if verdict[0]:
                    self._silent.clear()
                whole.settle(tickets[0], answered=verdict[0])
                endpoint.settle(tickets[1], answered=verdict[1])
        return response

    def _silence(self, name: str) -> _Verdict:
        self._silent.add(name)
        one_alone = len(self._silent) == 1 and self._whole.state == "closed"
        return (None if one_alone else False), False

    def _share(self, name: str) -> AbstractAsyncContextManager[None]:
        if self._each is None:
            return nullcontext()
        if name not in self._shares:
            self._shares[name] = Bulkhead(f"{self._part}/{name}", self._each)
        return self._shares[name]

    def _endpoint(self, name: str) -> CircuitBreaker:
        if name not in self._endpoints:
            self._endpoints[name] = CircuitBreaker(f"{self._part}/{name}")
        return self._endpoints[name]


def endpoint_name(path: str) -> str:
    """Return the name of a table, a function or an action: there are as many as in code."""
    first, _, rest = path.partition("/")
    return path if first == "rpc" and "/" not in rest else first


def _verdict(response: Response) -> _Verdict:
    if response.status_code >= _BAD_GATEWAY:
        return _SERVICE_DOWN
    if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
        return _WORKS
    sqlstate = _sqlstate(response)
    if sqlstate is None:
        return _ENDPOINT_FAILS
    if sqlstate.startswith(_SERVER_ERRORS):
        return _SERVICE_DOWN
    return _ENDPOINT_FAILS if sqlstate == _CANCELED else _WORKS


def _sqlstate(response: Response) -> str | None:
    """Return PostgreSQL's error code, as PostgREST passes it on."""
    code = json_object(response).get("code")
    return code if isinstance(code, str) and _SQLSTATE.fullmatch(code) else None
