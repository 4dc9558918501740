"""Resumable uploads: the protocol TUS 1.0, as the real server speaks it at /upload/resumable."""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import wraps
from typing import Final
from uuid import uuid4

import asyncpg
from starlette.responses import PlainTextResponse, Response

from devstack.gateway.storage.errors import StorageError, from_postgres, invalid_token
from devstack.gateway.storage.exchange import Exchange
from devstack.gateway.storage.incoming import content_length, declared_facts, parse_metadata
from devstack.gateway.storage.names import check_mime
from devstack.gateway.storage.resumable import Upload, tus_error
from devstack.gateway.storage.uploads import (
    Target,
    check_permission,
    complete,
    limits_of,
    signed_target,
)

_VERSION: Final = "1.0.0"
_EXTENSIONS: Final = "creation,creation-with-upload,termination,expiration"
_BYTES: Final = "application/offset+octet-stream"
_SIGN: Final = "/upload/resumable/sign"

_Handler = Callable[[Exchange], Awaitable[Response]]


def _speaks_tus(handler: _Handler) -> _Handler:
    """Check the version of the protocol, and answer refusals by their status and a sentence."""

    @wraps(handler)
    async def answer(exchange: Exchange) -> Response:
        request = exchange.request
        try:
            if request.method != "OPTIONS" and request.headers.get("tus-resumable") != _VERSION:
                raise tus_error(412, "Tus-Resumable Required")
            response = await handler(exchange)
        except StorageError as error:
            response = PlainTextResponse(error.message, error.status)
        except asyncpg.PostgresError as error:
            refused = from_postgres(error)
            response = PlainTextResponse(refused.message, refused.status)
        response.headers["tus-resumable"] = _VERSION
        return response

    return answer


@_speaks_tus
async def options(exchange: Exchange) -> Response:
    """OPTIONS: what this server can do."""
    facts = {
        "tus-version": _VERSION,
        "tus-extension": _EXTENSIONS,
        "tus-max-size": str(exchange.config.file_size_limit),
    }
    return Response(status_code=204, headers=facts)


@_speaks_tus
async def create(exchange: Exchange) -> Response:
    """POST: begin an upload; its first bytes may come along."""
    request = exchange.request
    size = _number(request.headers, "upload-length")
    if size is None:
        if "upload-defer-length" in request.headers:
            raise tus_error(501, "The local gateway needs Upload-Length at the creation.")
        raise tus_error(400, "Upload-Length or Upload-Defer-Length header required")
    header = request.headers.get("upload-metadata", "")
    if not header:
        raise tus_error(400, "Metadata header is required")
    metadata = _parse_header(header)
    target = _target(exchange, metadata.get("bucketName", ""), metadata.get("objectName", ""))
    limits = await limits_of(exchange, target)
    seconds = metadata.get("cacheControl", "")
    upload = Upload(
        version=str(uuid4()),
        bucket=target.bucket,
        name=target.name,
        owner=target.owner,
        size=size,
        header=header,
        mime=metadata.get("contentType") or "application/octet-stream",
        cache_control=f"max-age={seconds}"
        if seconds.isascii() and seconds.isdigit()
        else "no-cache",
        user_metadata=parse_metadata(metadata.get("metadata", "").encode()),
        expires=datetime.now(UTC) + timedelta(seconds=exchange.config.resumable_expiry),
    )
    await _check_permission(exchange, upload, target)
    if size > limits.size:
        raise tus_error(413, "Maximum size exceeded")
    if metadata.get("contentType"):  # the real server lets an upload without a type pass
        check_mime(upload.mime, limits.types)
    await exchange.resumables.create(upload)
    headers = {"location": _location(exchange, upload), **_expires(upload)}
    if size == 0 or request.headers.get("content-type") == _BYTES:
        async with exchange.resumables.turn(upload.version) as (turn, _):
            chunks = turn.chunks(request.stream())
            headers |= await _continue(exchange, upload, 0, chunks)
    return Response(status_code=201, headers=headers)


@_speaks_tus
async def head(exchange: Exchange) -> Response:
    """HEAD: how many bytes arrived. Who asks wants to continue, so an older request must stop."""
    upload = await _upload(exchange)
    _target(exchange, upload.bucket, upload.name)  # checks a signature
    async with exchange.resumables.turn(upload.version) as (_, upload):
        offset = await exchange.resumables.offset(upload)
        if offset == upload.size:  # unless a crash came in between, this was done
            await _finish(exchange, upload)
    headers = {
        "cache-control": "no-store",
        "upload-offset": str(offset),
        "upload-length": str(upload.size),
        "upload-metadata": upload.header,
        **_expires(upload),
    }
    return Response(headers=headers)


@_speaks_tus
async def patch(exchange: Exchange) -> Response:
    """PATCH: the bytes from an offset on."""
    headers = exchange.request.headers
    if headers.get("content-type") != _BYTES:
        raise tus_error(415, "Content-Type header required")
    asked = _number(headers, "upload-offset")
    if asked is None:
        raise tus_error(403, "Upload-Offset header required")
    upload = await _upload(exchange)
    target = _target(exchange, upload.bucket, upload.name)
    await _check_permission(exchange, upload, target)
    async with exchange.resumables.turn(upload.version) as (turn, upload):
        offset = await exchange.resumables.offset(upload)
        if asked != offset:
            raise tus_error(409, "Upload-Offset conflict")
        if offset + (content_length(exchange.request) or 0) > upload.size:
            raise tus_error(413, "upload's size exceeded")
        chunks = turn.chunks(exchange.request.stream())
        found = await _continue(exchange, upload, offset, chunks)
    return Response(status_code=204, headers={**found, **_expires(upload)})


@_speaks_tus
async def terminate(exchange: Exchange) -> Response:
    """DELETE: forget an upload that is under way."""
    upload = await _upload(exchange)
    await _check_permission(exchange, upload, _target(exchange, upload.bucket, upload.name))
    async with exchange.resumables.turn(upload.version) as (_, upload):
        if await exchange.resumables.offset(upload) == upload.size:
            raise tus_error(400, "Cannot terminate an already completed upload")
        await exchange.resumables.remove(upload.version)
    return Response(status_code=204)


def _is_signed(exchange: Exchange) -> bool:
    """Whether the request has a token for this one object, instead of a caller's."""
    request = exchange.request
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return bool(path.startswith(_SIGN))


def _target(exchange: Exchange, bucket: str, name: str) -> Target:
    """Return where the upload goes, by the token of the URL or for the caller."""
    if _is_signed(exchange):
        token = exchange.request.headers.get("x-signature")
        if not token:
            raise invalid_token("InvalidSignature", "Missing x-signature header")
        return signed_target(exchange, bucket, name, token)
    upsert = exchange.request.headers.get("x-upsert") == "true"
    return Target(bucket=bucket, name=name, owner=exchange.owner, upsert=upsert)


async def _check_permission(exchange: Exchange, upload: Upload, target: Target) -> None:
    """Raise StorageError if the caller may not upload this; a signature needs no more."""
    if not _is_signed(exchange):
        await check_permission(
            exchange,
            target,
            metadata=declared_facts(upload.mime, upload.size),
            user_metadata=upload.user_metadata,
        )


async def _upload(exchange: Exchange) -> Upload:
    """Return the upload of the URL: base64url of bucket, name and version."""
    unknown = tus_error(404, "The file for this url was not found")
    id_ = str(exchange.request.path_params["id"])
    try:
        path = base64.urlsafe_b64decode(id_ + "=" * (-len(id_) % 4)).decode()
    except (binascii.Error, ValueError):
        raise unknown from None
    place, _, version = path.rpartition("/")
    upload = await exchange.resumables.find(version)
    if place != f"{upload.bucket}/{upload.name}":
        raise unknown
    return upload


async def _continue(
    exchange: Exchange, upload: Upload, offset: int, chunks: AsyncIterator[bytes]
) -> dict[str, str]:
    """Add what arrives, and make the object when all is there; return headers."""
    if offset < upload.size:
        offset = await exchange.resumables.append(upload, offset, chunks)
    headers = {"upload-offset": str(offset)}
    if offset == upload.size:
        await _finish(exchange, upload)
        headers["tus-complete"] = "1"
    return headers


async def _finish(exchange: Exchange, upload: Upload) -> None:
    """Make the object of a complete upload; after a crash in between, once more."""
    if upload.finished:
        return
    try:
        path = exchange.resumables.bytes_of(upload)
        stored = await exchange.disk.keep(path, upload.version)
    except FileNotFoundError:
        pass  # it was an object, and is gone already
    else:
        await complete(
            exchange,
            Target(bucket=upload.bucket, name=upload.name, owner=upload.owner, upsert=True),
            upload.version,
            metadata=stored.metadata(upload.mime, upload.cache_control),
            user_metadata=upload.user_metadata or {},
        )
    await exchange.resumables.finish(upload)


def _parse_header(header: str) -> Mapping[str, str]:
    """Return Upload-Metadata: pairs of a key and a value in base64, which may be missing."""
    pairs: dict[str, str] = {}
    try:
        for pair in header.split(","):
            key, _, value = pair.strip().partition(" ")
            pairs[key] = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise tus_error(400, "Invalid Upload-Metadata header") from None
    return pairs


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _location(exchange: Exchange, upload: Upload) -> str:
    path = f"{upload.bucket}/{upload.name}/{upload.version}".encode()
    id_ = base64.urlsafe_b64encode(path).decode().rstrip("=")
    return f"{str(exchange.request.url).partition('?')[0].rstrip('/')}/{id_}"


def _expires(upload: Upload) -> dict[str, str]:
    return {"upload-expires": format_datetime(upload.expires, usegmt=True)}
