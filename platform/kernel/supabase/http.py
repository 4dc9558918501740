"""The only HTTP client to Supabase: deadlines, a guard for each service, one error type."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import aiohttp
import httpx
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from kernel.config.settings import Settings
from kernel.core.metrics import SUPABASE_CALLS
from kernel.core.traces import OFF, Traces
from kernel.errors import TooManyRequests, Unavailable
from kernel.supabase.answers import error_code, hint, is_own
from kernel.supabase.breaker import CircuitOpen
from kernel.supabase.bulkhead import BulkheadFull
from kernel.supabase.exchange import (
    Place,
    Request,
    Response,
    TableRequest,
    TableResponse,
    failed,
    refused,
)
from kernel.supabase.guard import NO_ANSWER, Answer, Guard, endpoint_name
from kernel.supabase.outcome import marked
from kernel.supabase.passwords import PasswordRules

_REPEATABLE: Final = "GET"


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke before a response came; the server may or may not have acted."""


class Connections(AiohttpTransport):
    """An httpx transport over aiohttp connections, created with the first request.

    The number of connections is unlimited here: the bulkheads limit it.
    """

    def __init__(self) -> None:
        super().__init__(client=_session)

    def session(self) -> aiohttp.ClientSession:
        """Return the connections themselves, for requests that need no httpx."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        return self.client


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_repeat_reads_only,),
    )


async def _repeat_reads_only(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from repeating any request other than a GET.

    A server may close a pooled connection just when a request is sent. aiohttp then repeats the
    request once if its method is idempotent (RFC 9112, 9.3.1), such as PUT and DELETE. But the
    server may have executed the first one, and a second PUT of a user sends a second mail. aiohttp
    repeats only after these two errors, so another error prevents it.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == _REPEATABLE or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise ConnectionLost(str(error)) from error


log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 1.0  # for a slot and a connection, in addition to the response
_AROUND: Final = "kernel.around"
AROUND: Final = {_AROUND: True}
"""Request `extensions` that bypass the guards: never refused, and not counted."""

_CODE: Final = re.compile(r"[a-z_]{1,64}")
# Where Auth may send a mail or call a hook before it responds: it then waits for other servers.
_WAITS_FOR_OTHERS: Final = frozenset({"signup", "user", "verify", "admin"})
_LIMITED: Final = "over_request_rate_limit"


class SupabaseUnavailable(Unavailable):
    """Supabase cannot be reached, does not answer in time, or fails.

    Also if something in front of it responds instead: see `kernel.supabase.answers`.
    """

    code = "SUPABASE_UNAVAILABLE"
    retry_after = 1


class SupabaseHttp(httpx.AsyncClient):
    """An httpx client over aiohttp connections, for all Supabase clients of this process.

    `ask` sends the requests to PostgREST without httpx, over the same connections.

    A call without a response (refused, silent, disconnected, 5xx, or a response that is not
    Supabase's own) raises SupabaseUnavailable. A call to a service that is known to be down raises
    it immediately: see Guard. A call takes at most SUPABASE_TIMEOUT_SECONDS, or
    SUPABASE_MAIL_TIMEOUT_SECONDS if Auth may send a mail, and one second more to begin. All callers
    share the client, so it holds no cookies and no default credentials.
    """

    def __init__(self, settings: Settings, traces: Traces = OFF) -> None:
        self.base = settings.supabase
        self.key = settings.supabase_key.get_secret_value()
        self.service_key = settings.supabase_service_key.get_secret_value()
        self.quotas = (
            f"posts_per_day={settings.quota_posts_per_day}, bytes={settings.quota_bytes}, "
            f"files={settings.quota_files}, file_bytes={settings.quota_file_bytes}"
        )
        self.passwords = PasswordRules(common=settings.refuses_common_passwords)
        self._traces = traces
        self._path = httpx.URL(self.base).path.rstrip("/")
        places = settings.supabase_concurrency
        self._guards = {
            "auth": Guard("auth", places=places, each=max(1, places // 2)),
            "rest": Guard("rest", places=places),
        }
        self._connections = Connections()
        self._rest = f"{self.base}/rest/v1/"
        self._seconds = settings.supabase_timeout_seconds
        self._patience = aiohttp.ClientTimeout(
            connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=self._seconds
        )
        self._mail_seconds = max(self._seconds, settings.supabase_mail_timeout_seconds)
        super().__init__(
            transport=self._connections,
            timeout=_timeout(self._seconds),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Return the response, unless the server failed.

        Raises SupabaseUnavailable, TooManyRequests if Auth limits the client's address, and
        ValueError for a path of neither Auth nor PostgREST.
        """
        part, path = self._place(request.url)
        seconds, waits = self._seconds, False
        if part == "auth" and request.method != "GET" and endpoint_name(path) in _WAITS_FOR_OTHERS:
            seconds, waits = self._mail_seconds, True
            request.extensions = {**request.extensions, "timeout": _timeout(seconds).as_dict()}

        async def attempt() -> httpx.Response:
            return await super(SupabaseHttp, self).send(request, **options)

        around = _AROUND in request.extensions
        return await self._traced(
            _Call(part, path, request, seconds, waits=waits, around=around),
            request.headers,
            attempt,
        )

    async def ask(
        self, method: str, path: str, query: str, headers: dict[str, str], content: bytes | None
    ) -> TableResponse:
        """Return PostgREST's response, unless it failed: its client library only builds requests.

        `path` is relative to PostgREST's and, like `query`, encoded; `headers` are in lower case,
        and this call's own. Raises SupabaseUnavailable.
        """
        url = URL(f"{self._rest}{path}?{query}" if query else self._rest + path, encoded=True)
        request = TableRequest(method, Place(f"{self._path}/rest/v1/{path}"), headers)
        session = self._connections.session()

        async def attempt() -> TableResponse:
            async with session.request(
                method,
                url,
                headers=headers,
                data=content,
                allow_redirects=False,
                timeout=self._patience,
            ) as answer:
                body = await answer.read()
            return TableResponse(request, answer.status, answer.reason, answer.headers, body)

        return await self._traced(
            _Call("rest", path, request, self._seconds), request.headers, attempt
        )

    async def _traced(
        self,
        call: "_Call",
        headers: MutableMapping[str, str],
        attempt: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if not self._traces.on:
            return await self._guarded(call, attempt)
        name = f"supabase {call.part}/{endpoint_name(call.path)}"
        method = call.request.method
        with self._traces.child(name, "client", http__request__method=method) as span:
            if span.traceparent is not None:
                headers["traceparent"] = span.traceparent  # the outbox stores it
            response = await self._guarded(call, attempt)
            span.note(http__response__status_code=response.status_code)
            return response

    async def _guarded(self, call: "_Call", attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        part, request = call.part, call.request
        deadline = asyncio.get_running_loop().time() + call.seconds + WAIT_SECONDS

        async def in_time() -> Answer:
            async with asyncio.timeout_at(deadline):
                return await attempt()

        started, outcome = time.perf_counter(), None
        try:
            if call.around:
                response = await in_time()
            else:
                response = await self._guards[part].call(call.path, in_time, slow=call.waits)
            outcome = _outcome(response)
        except CircuitOpen as refusal:
            outcome = "not_sent"
            raise SupabaseUnavailable(retry_after=max(1, math.ceil(refusal.seconds))) from None
        except BulkheadFull:
            outcome = "not_sent"
            raise SupabaseUnavailable from None
        except NO_ANSWER as error:
            outcome = "unanswered"
            _report(request, _name(error))
            raise marked(SupabaseUnavailable(), request, error) from error
        finally:
            if outcome is not None:  # or the caller was cancelled
                seconds = time.perf_counter() - started
                SUPABASE_CALLS.labels(_kind(part, call.path), outcome).observe(seconds)
        # Only Supabase's gateway tells a check that its key is wrong.
        refuses_key = call.around and response.status_code in {401, 403}
        if failed(response) or not (is_own(part, response) or refuses_key):
            _report(request, f"status {response.status_code}: {_said(part, response)}")
            raise marked(SupabaseUnavailable(retry_after=hint(response)), request, response)
        limited = part == "auth" and response.status_code == httpx.codes.TOO_MANY_REQUESTS
        if limited and error_code(part, response) == _LIMITED:
            raise TooManyRequests(retry_after=hint(response))
        return response

    def _place(self, url: httpx.URL) -> tuple[str, str]:
        """Return the service and the path relative to its URL.

        Logins and refreshes have one path at Auth: the grant type tells them apart.
        """
        part, _, rest = url.path.removeprefix(self._path).lstrip("/").partition("/")
        if part not in self._guards:
            raise ValueError(f"{url.path} belongs to neither Auth nor PostgREST")
        path = rest.partition("/")[2]  # without the version
        if part == "auth" and (kind := url.params.get("grant_type")):
            path = f"{path}:{kind}"
        return part, path


@dataclass(slots=True)
class _Call:
    """A request; `path` is relative to the service's, `around` bypasses its guard.

    It takes at most these seconds; if it `waits` for other servers, its time-outs count less.
    """

    part: str
    path: str
    request: Request
    seconds: float
    waits: bool = False
    around: bool = False


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)


def _kind(part: str, path: str) -> str:
    if part == "auth":
        return part
    return "function" if path.startswith("rpc/") else "table"


def _outcome(response: Response) -> str:
    if failed(response):
        return "failed"
    return "refused" if refused(response) else "ok"


def _said(part: str, response: Response) -> str:
    """Return a server's description of its failure; of Auth's only the code.

    A request to Auth contains a password or a token, which an error page may repeat.
    """
    if part != "auth" and failed(response):
        return response.text[:500]
    code = response.headers.get("x-sb-error-code", "")
    if _CODE.fullmatch(code):
        return code
    kind = response.headers.get("content-type", "no content type")[:80]
    return f"not a response of {part} itself, {kind}, {len(response.content)} bytes"


def _name(error: Exception) -> str:
    """Return the name of an error; aiohttp's is more specific than that of httpx."""
    cause = error.__cause__ if isinstance(error, httpx.RequestError) else None
    return type(cause or error).__name__


def _report(request: Request, reason: str) -> None:
    log.error(
        "Supabase does not answer",
        extra={"method": request.method, "path": request.url.path, "reason": reason},
    )


def bearer(key: str) -> dict[str, str]:
    """Return the headers for a key.

    Keys that are JWTs carry their role in the Authorization header. The newer `sb_…` keys must not
    be sent there: Supabase's gateway exchanges them for a JWT.
    """
    headers = {"apikey": key}
    if key.startswith("eyJ"):
        headers["Authorization"] = f"Bearer {key}"
    return headers
