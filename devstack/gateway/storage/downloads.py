"""How an object is read: its bytes, whole or a range, its facts, and signed URLs."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import asyncpg
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from devstack.gateway.storage.errors import (
    StorageError,
    invalid_request,
    json_response,
    no_bytes,
    no_such_bucket,
    no_such_key,
    unsupported,
)
from devstack.gateway.storage.exchange import Exchange
from devstack.gateway.storage.names import check_object
from devstack.gateway.storage.signing import sign, signed_url, verify

_CHUNK: Final = 256 * 1024
_HEADER: Final = re.compile(r"[\t -~\x80-\xff]*")
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


async def get(exchange: Exchange) -> Response:
    """GET /object/{bucket}/{name}: of a public bucket for everyone, else by row security."""
    row = await _visible(exchange)
    return await _bytes(exchange, row)


async def get_public(exchange: Exchange) -> Response:
    """GET /object/public/{bucket}/{name}."""
    await _check_public(exchange)
    return await _bytes(exchange, await _find(exchange, superuser=True))


async def get_signed(exchange: Exchange) -> Response:
    """GET /object/sign/{bucket}/{name}?token=: as superuser."""
    token = exchange.request.query_params.get("token") or ""
    path = f"{exchange.bucket}/{exchange.name}"
    claims = verify(exchange.config.jwt_secret, "download", path, token)
    expires = format_datetime(datetime.fromtimestamp(claims["exp"], UTC), usegmt=True)
    row = await _find(exchange, superuser=True)
    return await _bytes(exchange, row, expires=expires)


async def head(exchange: Exchange) -> Response:
    """HEAD /object/{bucket}/{name}, and with /authenticated."""
    return _facts_only(await _visible(exchange))


async def head_public(exchange: Exchange) -> Response:
    """HEAD /object/public/{bucket}/{name}."""
    await _check_public(exchange)
    return _facts_only(await _find(exchange, superuser=True))


async def info(exchange: Exchange) -> Response:
    """GET /object/info/{bucket}/{name}, and with /authenticated."""
    return _info(await _visible(exchange))


async def info_public(exchange: Exchange) -> Response:
    """GET /object/info/public/{bucket}/{name}."""
    await _check_public(exchange)
    return _info(await _find(exchange, superuser=True))


async def sign_one(exchange: Exchange) -> Response:
    """POST /object/sign/{bucket}/{name}: for an object that the caller may read."""
    body = await exchange.json()
    if body.fields.get("transform"):
        raise unsupported("image transformations")
    seconds = body.number("expiresIn", minimum=1)
    if seconds is None:
        raise invalid_request("body must have required property 'expiresIn'", error="Error")
    await _find(exchange)
    return json_response({"signedURL": _signed_url(exchange, exchange.name, seconds)})


async def sign_many(exchange: Exchange) -> Response:
    """POST /object/sign/{bucket}: each path gets a URL or an error."""
    body = await exchange.json()
    seconds, paths = body.number("expiresIn", minimum=1), body.texts("paths")
    if seconds is None or not paths:
        missing = "expiresIn" if seconds is None else "paths"
        raise invalid_request(f"body must have required property '{missing}'", error="Error")
    async with exchange.transaction() as db:
        rows = await db.fetch(
            "select name from storage.objects where bucket_id = $1 and name = any ($2)",
            *(exchange.bucket, paths),
        )
    found = {row["name"] for row in rows}
    error = "Either the object does not exist or you do not have access to it"
    return json_response(
        [
            {
                "error": None if path in found else error,
                "path": path,
                "signedURL": _signed_url(exchange, path, seconds) if path in found else None,
            }
            for path in paths
        ]
    )


def _signed_url(exchange: Exchange, name: str, seconds: int) -> str:
    path = f"{exchange.bucket}/{name}"
    token = sign(exchange.config.jwt_secret, "download", path, seconds)
    return signed_url("download", path, token)


async def _check_public(exchange: Exchange) -> None:
    async with exchange.transaction(superuser=True) as db:
        if not await db.fetchval(
            "select true from storage.buckets where id = $1 and public", exchange.bucket
        ):
            raise no_such_bucket()


async def _visible(exchange: Exchange) -> asyncpg.Record:
    """Return the row if the caller may read it; raises StorageError (404)."""
    async with exchange.transaction(superuser=True) as db:
        public = await db.fetchval(
            "select coalesce(public, false) from storage.buckets where id = $1", exchange.bucket
        )
    if public is None or (exchange.claims is None and not public):
        raise no_such_bucket()
    return await _find(exchange, superuser=public)


async def _find(exchange: Exchange, *, superuser: bool = False) -> asyncpg.Record:
    check_object(exchange.name)
    async with exchange.transaction(superuser=superuser) as db:
        row = await db.fetchrow(
            "select * from storage.objects where bucket_id = $1 and name = $2",
            *(exchange.bucket, exchange.name),
        )
    if row is None:
        raise no_such_key()
    return row


def _info(row: asyncpg.Record) -> Response:
    metadata = row["metadata"] or {}
    response = json_response(
        {
            **{name: row[name] for name in ("id", "name", "version", "bucket_id", "created_at")},
            "size": metadata.get("size"),
            "content_type": metadata.get("mimetype"),
            "cache_control": metadata.get("cacheControl"),
            "etag": metadata.get("eTag"),
            "metadata": row["user_metadata"],
            "last_modified": row["updated_at"],
        }
    )
    response.headers["etag"] = metadata.get("eTag", "")
    return response


def _facts_only(row: asyncpg.Record) -> Response:
    metadata = row["metadata"] or {}
    headers = _headers(metadata)
    headers["cache-control"] = metadata.get("cacheControl", "no-cache")
    headers["content-length"] = str(metadata.get("contentLength", 0))
    return Response(headers=_checked(headers))


def _checked(headers: dict[str, str]) -> dict[str, str]:
    """Return headers; raises StorageError (400) if what an uploader declared is none."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(value):
            message = f'Invalid character in response header "{name}"'
            raise invalid_request(message, error="invalid_header_char")
    return headers


def _headers(metadata: Mapping[str, Any]) -> dict[str, str]:
    mime = metadata.get("mimetype") or "application/octet-stream"
    headers = {
        "accept-ranges": "bytes",
        # As the real server: a page that somebody uploaded must not run as one of this origin.
        "content-type": "text/plain" if "text/html" in mime else mime,
        "x-robots-tag": "none",
        "etag": metadata.get("eTag", ""),
    }
    if modified := metadata.get("lastModified"):
        headers["last-modified"] = format_datetime(datetime.fromisoformat(modified), usegmt=True)
    return headers


async def _bytes(
    exchange: Exchange, row: asyncpg.Record, *, expires: str | None = None
) -> Response:
    request, metadata = exchange.request, row["metadata"] or {}
    headers = _headers(metadata)
    if _is_unchanged(request.headers, headers):
        return Response(status_code=304)
    if expires:
        headers["expires"] = expires
    else:
        headers["cache-control"] = metadata.get("cacheControl", "no-cache")
    download = request.query_params.get("download")
    if download is not None:
        name = quote(download, safe="!'()*")
        named = f" filename={name}; filename*=UTF-8''{name}" if name else ""
        headers["content-disposition"] = f"attachment;{named}"
    headers = _checked(headers)
    try:
        file = await asyncio.to_thread(exchange.disk.path(row["version"]).open, "rb")
    except (OSError, TypeError, ValueError):  # no version: a row that SQL inserted
        raise no_bytes() from None
    try:
        size = await asyncio.to_thread(file.seek, 0, 2)
        start, end = _range(request.headers.get("range"), size)
    except BaseException:
        file.close()
        raise
    if request.headers.get("range") is not None:
        headers["content-range"] = f"bytes {start}-{end}/{size}"
        return _FileResponse(file, start, end + 1 - start, 206, headers)
    return _FileResponse(file, 0, size, 200, headers)


def _is_unchanged(asked: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    if etag := asked.get("if-none-match"):
        return etag == headers["etag"]
    try:
        since = parsedate_to_datetime(asked.get("if-modified-since", ""))
        return parsedate_to_datetime(headers.get("last-modified", "")) <= since
    except (ValueError, TypeError):
        return False


def _range(header: str | None, size: int) -> tuple[int, int]:
    """Return the first and the last byte of a Range header; raises StorageError (416)."""
    if header is None:
        return 0, size - 1
    match = _RANGE.fullmatch(header)
    if match and match[1]:
        start, end = int(match[1]), int(match[2]) if match[2] else size - 1
        if start <= end and start < size:
            return start, min(end, size - 1)
    elif match and match[2] and int(match[2]) and size:
        return max(size - int(match[2]), 0), size - 1
    message = "invalid range provided"
    raise StorageError(416, "InvalidRange", message, error="invalid_range", http=416)


class _FileResponse(Response):
    """A part of an open file, read as the client takes it; closes the file at its end."""

    def __init__(
        self, file: BinaryIO, start: int, size: int, status: int, headers: Mapping[str, str]
    ) -> None:
        self.status_code, self.background = status, None
        self._file, self._start, self._size = file, start, size
        self.init_headers({**headers, "content-length": str(size)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            left = 0 if scope["method"] == "HEAD" else self._size
            await asyncio.to_thread(self._file.seek, self._start)
            while chunk := await asyncio.to_thread(self._file.read, min(left, _CHUNK)):
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._file.close()
