"""The only HTTP client to Supabase: deadlines, a guard for each service, one error type."""

import asyncio
import logging
import math
import re
import time
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import aiohttp
import httpx
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from httpx_aiohttp import AiohttpTransport

from kernel.config.settings import Settings
from kernel.core.metrics import SUPABASE_CALLS
from kernel.errors import Unavailable
from kernel.supabase.breaker import CircuitOpen
from kernel.supabase.bulkhead import BulkheadFull
from kernel.supabase.guard import NO_ANSWER, Guard
from kernel.supabase.passwords import PasswordRules

_REPEATABLE: Final = "GET"


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke before a response came; the server may or may not have acted."""


def connections() -> AiohttpTransport:
    """Return an httpx transport over aiohttp connections, created with the first request.

    The number of connections is unlimited here: the bulkheads limit it.
    """
    return AiohttpTransport(client=_session)


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
READ_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 3.0
_AROUND: Final = "kernel.around"
AROUND: Final = {_AROUND: True}
"""Request `extensions` that bypass the guards: never refused, and not counted."""

_PARTS: Final = ("auth", "rest")
_CODE: Final = re.compile(r"[a-z_]{1,64}")


class SupabaseUnavailable(Unavailable):
    """Supabase cannot be reached, does not answer in time, or fails."""

    code = "SUPABASE_UNAVAILABLE"
    retry_after = 1


class SupabaseHttp(httpx.AsyncClient):
    """An httpx client over aiohttp connections, for all Supabase clients of this process.

    A call without a response (refused, silent, disconnected, 5xx) raises SupabaseUnavailable. A
    call to a service that is known to be down raises it immediately: see Guard. A call takes at
    most 3 s, including the wait for its slot. All callers share the client, so it holds no cookies
    and no default credentials.
    """

    def __init__(self, settings: Settings) -> None:
        self.base = settings.supabase
        self.key = settings.supabase_key.get_secret_value()
        self.service_key = settings.supabase_service_key.get_secret_value()
        self.quotas = f"posts_per_day={settings.quota_posts_per_day}, bytes={settings.quota_bytes}"
        self.passwords = PasswordRules(common=settings.refuses_common_passwords)
        self._path = httpx.URL(self.base).path.rstrip("/")
        self._guards = {part: Guard(part, places=settings.supabase_concurrency) for part in _PARTS}
        super().__init__(
            transport=connections(),
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Return the response, unless the server failed.

        Raises SupabaseUnavailable, and ValueError for a path of neither Auth nor PostgREST.
        """
        part, path = self._place(request.url)
        deadline = asyncio.get_running_loop().time() + TOTAL_SECONDS

        async def attempt() -> httpx.Response:
            async with asyncio.timeout_at(deadline):
                return await super(SupabaseHttp, self).send(request, **options)

        started, outcome = time.perf_counter(), None
        try:
            if _AROUND in request.extensions:
                response = await attempt()
            else:
                response = await self._guards[part].call(path, attempt)
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
            raise SupabaseUnavailable from error
        finally:
            if outcome is not None:  # or the caller was cancelled
                seconds = time.perf_counter() - started
                SUPABASE_CALLS.labels(_kind(part, path), outcome).observe(seconds)
        if response.is_server_error:
            _report(request, f"status {response.status_code}: {_said(part, response)}")
            raise SupabaseUnavailable
        return response

    def _place(self, url: httpx.URL) -> tuple[str, str]:
        """Return the service and the path relative to its URL."""
        part, _, rest = url.path.removeprefix(self._path).lstrip("/").partition("/")
        if part not in self._guards:
            raise ValueError(f"{url.path} belongs to neither Auth nor PostgREST")
        return part, rest.partition("/")[2]  # without the version


def _kind(part: str, path: str) -> str:
    if part == "auth":
        return part
    return "function" if path.startswith("rpc/") else "table"


def _outcome(response: httpx.Response) -> str:
    if response.is_server_error:
        return "failed"
    return "refused" if response.is_client_error else "ok"


def _said(part: str, response: httpx.Response) -> str:
    """Return a server's description of its failure; of Auth's only the code.

    A request to Auth contains a password or a token, which an error page may repeat.
    """
    if part != "auth":
        return response.text[:500]
    code = response.headers.get("x-sb-error-code", "")
    return code if _CODE.fullmatch(code) else "no code"


def _name(error: Exception) -> str:
    """Return the name of an error; aiohttp's is more specific than that of httpx."""
    cause = error.__cause__ if isinstance(error, httpx.RequestError) else None
    return type(cause or error).__name__


def _report(request: httpx.Request, reason: str) -> None:
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
