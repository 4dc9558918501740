"""The one HTTP client to Supabase: shared connections, deadlines, one kind of failure."""

import asyncio
import logging
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from kernel.errors import Unavailable
from kernel.settings import Settings

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 0.5
READ_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 3.0
CONNECTIONS: Final = 100
_SERVER_ERROR: Final = 500


class SupabaseUnavailable(Unavailable):
    """Supabase cannot be reached, does not answer in time, or fails by itself."""

    code = "SUPABASE_UNAVAILABLE"


class SupabaseHttp(httpx.AsyncClient):
    """An httpx client over aiohttp's connections, for all Supabase clients of this process.

    Every failure to get an answer (refused, silent, broken off, 5xx) raises SupabaseUnavailable.
    It holds no cookies and no default credentials: it is shared by all callers.
    """

    def __init__(self, settings: Settings) -> None:
        self.base = settings.supabase
        self.key = settings.supabase_key.get_secret_value()
        self.service_key = settings.supabase_service_key.get_secret_value()
        super().__init__(
            transport=AiohttpTransport(client=_session),
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Return the answer, unless it is the server's own failure."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                response = await super().send(request, **options)
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            self._report(request, type(error).__name__)
            raise SupabaseUnavailable from error
        if response.status_code >= _SERVER_ERROR:
            self._report(request, f"status {response.status_code}: {response.text[:500]}")
            raise SupabaseUnavailable
        return response

    def _report(self, request: httpx.Request, reason: str) -> None:
        log.error(
            "Supabase does not answer",
            extra={"method": request.method, "path": request.url.path, "reason": reason},
        )


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def bearer(key: str) -> dict[str, str]:
    """Return the headers that make a key count by itself.

    Keys that are JWTs carry their role in the Authorization header; the newer `sb_…` keys are
    exchanged for one by Supabase's own gateway and must not be sent as a bearer.
    """
    headers = {"apikey": key}
    if key.startswith("eyJ"):
        headers["Authorization"] = f"Bearer {key}"
    return headers
