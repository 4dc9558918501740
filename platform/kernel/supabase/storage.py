"""Objects in Supabase Storage: signed URLs for clients, and reading and removing for jobs."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

from kernel.config.settings import Settings
from kernel.core.metrics import SUPABASE_CALLS
from kernel.core.request_id import request_id
from kernel.core.traces import OFF, Traces
from kernel.errors import ApiError, Conflict, Forbidden, NotFound
from kernel.supabase.answers import hint, json_object
from kernel.supabase.breaker import CircuitOpen
from kernel.supabase.bulkhead import BulkheadFull
from kernel.supabase.guard import NO_ANSWER, Guard
from kernel.supabase.http import CONNECT_SECONDS, SupabaseHttp, SupabaseUnavailable, bearer

DOWNLOAD_SECONDS: Final = 600
"""How long the URL of a download is valid."""

log = logging.getLogger(__name__)

_READ_SECONDS: Final = 10.0  # for the next bytes of an object
_MEANINGS: Final[dict[int, type[ApiError]]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}


class StorageRefusal(Exception):
    """Storage refuses a call with a status that no caller expects: the fault is ours."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where a client uploads one object: by `PUT url`, or by TUS at `resumable_url` with `token`.

    https://tus.io/protocols/resumable-upload; the token is sent there as the header `x-signature`.
    """

    url: str
    token: str
    resumable_url: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is being read: its type as Storage states it, and its bytes in pieces."""

    content_type: str
    chunks: AsyncIterator[bytes]


class StorageHttp:
    """Calls of Storage, over the connections of SupabaseHttp.

    Bulkhead, breakers and deadline are its own: Storage may be slow or away while the database
    works. A call without a response of Storage itself raises SupabaseUnavailable; a refusal raises
    Forbidden, NotFound, Conflict or StorageRefusal, by the status in the body: that of the response
    is 400 for most.
    """

    def __init__(self, http: SupabaseHttp, settings: Settings, traces: Traces = OFF) -> None:
        self.key, self.service_key = http.key, http.service_key
        self.public = f"{settings.supabase_for_clients}/storage/v1"
        self._base = f"{http.base}/storage/v1"
        self._http, self._traces = http, traces
        self._seconds = settings.supabase_timeout_seconds
        self._guard = Guard("storage", places=settings.supabase_concurrency)

    async def call(
        self, name: str, method: str, path: str, headers: dict[str, str], body: object = None
    ) -> Any:
        """Return the JSON that Storage responds with.

        `name` is the endpoint's, for breakers, metrics and traces.
        """
        content = orjson.dumps(body) if body is not None else None
        if content is not None:
            headers = {**headers, "content-type": "application/json"}
        request = self._request(method, path, headers, self._seconds, content)
        response = await self._send(name, request, stream=False)
        try:
            return orjson.loads(response.content)
        except ValueError:
            raise SupabaseUnavailable from None

    @asynccontextmanager
    async def read(
        self, name: str, path: str, headers: dict[str, str]
    ) -> AsyncIterator[StoredObject]:
        """Read an object in pieces; only one of them is in memory."""
        headers = {**headers, "accept-encoding": "identity"}
        request = self._request("GET", path, headers, _READ_SECONDS, None)
        response = await self._send(name, request, stream=True)
        try:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            yield StoredObject(kind, _pieces(response))
        finally:
            await response.aclose()

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        seconds: float,
        content: bytes | None,
    ) -> httpx.Request:
        if current := request_id.get():
            headers = {**headers, "X-Request-ID": current}
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        return self._http.build_request(
            method, f"{self._base}{path}", headers=headers, content=content, timeout=timeout
        )

    async def _send(self, name: str, request: httpx.Request, *, stream: bool) -> httpx.Response:
        with self._traces.child(f"supabase storage/{name}", "client") as span:
            if span.traceparent is not None:
                request.headers["traceparent"] = span.traceparent
            response = await self._guarded(name, request, stream=stream)
            span.note(http__response__status_code=response.status_code)
        if response.is_success:
            return response
        error = _refusal(response)
        if isinstance(error, SupabaseUnavailable):
            _report(name, f"status {response.status_code}")
        raise error

    async def _guarded(self, name: str, request: httpx.Request, *, stream: bool) -> httpx.Response:
        async def attempt() -> httpx.Response:
            async with asyncio.timeout(self._seconds):
                # Not SupabaseHttp.send: that has the guards of Auth and PostgREST, and their forms.
                response = await httpx.AsyncClient.send(self._http, request, stream=stream)
                if stream and not response.is_success:
                    await response.aread()  # it releases the connection
                return response

        started, outcome = time.perf_counter(), None
        try:
            response = await self._guard.call(name, attempt)
            refused = "refused" if response.is_client_error else "failed"
            outcome = "ok" if response.is_success else refused
        except CircuitOpen as refusal:
            outcome = "not_sent"
            raise SupabaseUnavailable(retry_after=max(1, math.ceil(refusal.seconds))) from None
        except BulkheadFull:
            outcome = "not_sent"
            raise SupabaseUnavailable from None
        except NO_ANSWER as error:
            outcome = "unanswered"
            _report(name, type(error.__cause__ or error).__name__)
            raise SupabaseUnavailable from error
        finally:
            if outcome is not None:  # or the caller was cancelled
                taken = time.perf_counter() - started
                SUPABASE_CALLS.labels("storage", outcome).observe(taken)
        return response


class StorageAsCaller:
    """Storage with the caller's rights: policies on `storage.objects` apply."""

    def __init__(self, http: StorageHttp, token: str | None) -> None:
        self._http = http
        self._headers = {"apikey": http.key}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def upload_target(self, bucket: str, name: str) -> UploadTarget:
        """Return where to upload a new object. Raises Forbidden, and Conflict if it exists."""
        path = f"/object/upload/sign/{_place(bucket, name)}"
        try:
            signed = await self._http.call("upload_sign", "POST", path, self._headers)
        except NotFound:
            log.error("Storage has no such bucket", extra={"bucket": bucket})  # noqa: TRY400 - known
            raise SupabaseUnavailable from None
        public = self._http.public
        resumable = f"{public}/upload/resumable/sign"
        return UploadTarget(f"{public}{signed['url']}", str(signed["token"]), resumable)

    async def download_url(self, bucket: str, name: str, *, save_as: str) -> str:
        """Return a URL for DOWNLOAD_SECONDS, whose response a browser saves under this name.

        Raises NotFound if there is no such object that the caller may read.
        """
        path, body = f"/object/sign/{_place(bucket, name)}", {"expiresIn": DOWNLOAD_SECONDS}
        signed = await self._http.call("sign", "POST", path, self._headers, body)
        return f"{self._http.public}{signed['signedURL']}&download={quote(save_as, safe='')}"


class StorageAsService:
    """Storage without policies, with the secret key: for jobs."""

    def __init__(self, http: StorageHttp) -> None:
        self._http, self._headers = http, bearer(http.service_key)

    @asynccontextmanager
    async def read(self, bucket: str, name: str) -> AsyncIterator[StoredObject]:
        """Read an object: `async with storage.read("files", name) as found: …`.

        Raises NotFound, and SupabaseUnavailable at any piece.
        """
        path = f"/object/authenticated/{_place(bucket, name)}"
        async with self._http.read("read", path, self._headers) as found:
            yield found

    async def remove(self, bucket: str, names: Iterable[str]) -> None:
        """Remove objects, at most 1,000 in a call; one that does not exist is no error."""
        path, body = f"/object/{quote(bucket, safe='')}", {"prefixes": list(names)}
        await self._http.call("remove", "DELETE", path, self._headers, body)


def _report(name: str, reason: str) -> None:
    """Log it, without paths and bodies: these have tokens."""
    log.error("Storage does not answer", extra={"endpoint": name, "reason": reason})


def _place(bucket: str, name: str) -> str:
    return f"{quote(bucket, safe='')}/{quote(name)}"


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_raw():
            yield piece
    except NO_ANSWER as error:
        raise SupabaseUnavailable from error


def _refusal(response: httpx.Response) -> Exception:
    """Return the error for a response that is none of success."""
    said = json_object(response)
    status = str(said.get("statusCode", ""))
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or not status.isdecimal():
        return SupabaseUnavailable(retry_after=hint(response))
    if int(status) >= httpx.codes.INTERNAL_SERVER_ERROR or status == "429":
        return SupabaseUnavailable(retry_after=hint(response))
    kind = _MEANINGS.get(int(status))
    return kind() if kind else StorageRefusal(f"Storage refuses it with status {status}")
