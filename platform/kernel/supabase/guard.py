"""What stands before a part of Supabase: whom it lets through, and what it learns of answers."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import httpx

from kernel.supabase.breaker import CircuitBreaker
from kernel.supabase.bulkhead import Bulkhead

NO_ANSWER: Final = (httpx.RequestError, aiohttp.ClientError, OSError)
"""Errors of a call that got no answer: refused, silent, broken off, unreadable."""
_SLOW: Final = (httpx.ReadTimeout, TimeoutError)

Send = Callable[[], Awaitable[httpx.Response]]
_Verdict = tuple[
    bool | None, bool | None
]  # of the part and of the endpoint, as CircuitBreaker.settle

_NOBODY_KNOWS: Final[_Verdict] = (None, None)
_WORKS: Final[_Verdict] = (True, True)
_ENDPOINT_FAILS: Final[_Verdict] = (True, False)
_PART_IS_AWAY: Final[_Verdict] = (False, None)

_BAD_GATEWAY: Final = 502
_CANCELED: Final = "57014"  # statement_timeout
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
# Connections, resources, shutdown, system: the server's trouble, whatever was asked. See
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SERVERS_TROUBLE: Final = ("08", "53", "57P", "58")


class Guard:
    """The bulkhead and the breakers of one part of Supabase, Auth or PostgREST.

    The part's own breaker counts what no single request causes: no connection, a connection that
    breaks off, and the statuses from 502 on, by which proxies say that it is away.
    Each endpoint has a breaker of its own. No answer in time counts for the endpoint, since one
    slow query makes no other slow; it counts for the part, too, once a second endpoint is as
    silent and nothing has answered in between.
    A 500 is a server that lives and fails at something. Where it names an SQLSTATE, the database
    has answered, and the query was at fault: that is no failure at all, unless it was canceled
    because it took too long. Any other 500 counts for its endpoint alone: mails that cannot be
    sent stop sign-ups, and not logins.
    """

    def __init__(self, part: str, *, places: int) -> None:
        self._part = part
        self._bulkhead = Bulkhead(part, places)
        self._whole = CircuitBreaker(part)
        self._endpoints: dict[str, CircuitBreaker] = {}
        self._silent: set[str] = set()  # endpoints, since the part answered last

    async def call(self, path: str, send: Send) -> httpx.Response:
        """Return what `send` returns; `path` is the one below the part's address.

        Raises CircuitOpen or BulkheadFull where it was not called, and what it raises.
        """
        name = _name(path)
        whole, endpoint = self._whole, self._endpoint(name)
        whole.check()
        endpoint.check()
        async with self._bulkhead:
            # Both may have opened while we waited. The endpoint is asked first: a place of the
            # part's probe that was taken and not used would never be free again.
            endpoint.check()
            tickets = whole.admit(), endpoint.admit()
            verdict = _NOBODY_KNOWS
            try:
                response = await send()
                verdict = _verdict(response)
            except NO_ANSWER as error:
                verdict = self._silence(name) if isinstance(error, _SLOW) else _PART_IS_AWAY
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

    def _endpoint(self, name: str) -> CircuitBreaker:
        if name not in self._endpoints:
            self._endpoints[name] = CircuitBreaker(f"{self._part}/{name}")
        return self._endpoints[name]


def _name(path: str) -> str:
    """Return the name of a table, a function or an action: there are as many as in code."""
    first, _, rest = path.partition("/")
    return path if first == "rpc" and "/" not in rest else first


def _verdict(response: httpx.Response) -> _Verdict:
    if response.status_code >= _BAD_GATEWAY:
        return _PART_IS_AWAY
    if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
        return _WORKS
    sqlstate = _sqlstate(response)
    if sqlstate is None:
        return _ENDPOINT_FAILS
    if sqlstate.startswith(_SERVERS_TROUBLE):
        return _PART_IS_AWAY
    return _ENDPOINT_FAILS if sqlstate == _CANCELED else _WORKS


def _sqlstate(response: httpx.Response) -> str | None:
    """Return PostgreSQL's error code, as PostgREST passes it on."""
    try:
        body: Any = response.json()
    except ValueError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, str) and _SQLSTATE.fullmatch(code) else None
