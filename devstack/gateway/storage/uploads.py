"""How a file becomes an object: its limits, whether the caller may, and the row at the end."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from starlette.responses import Response

from devstack.gateway.storage.errors import (
    duplicate,
    json_response,
    no_such_bucket,
    too_large,
)
from devstack.gateway.storage.exchange import Exchange
from devstack.gateway.storage.incoming import (
    content_length,
    declared_facts,
    metadata_header,
    read_file,
)
from devstack.gateway.storage.names import check_bucket, check_mime, check_object, is_placeholder
from devstack.gateway.storage.signing import UPLOAD_SECONDS, sign, signed_url, verify

_INSERT = (
    "insert into storage.objects as o "
    "(bucket_id, name, version, owner, owner_id, metadata, user_metadata) "
    "values ($1, $2, $3, $4, $5, $6, $7)"
)
_UPSERT = (
    f"{_INSERT} on conflict (name, bucket_id) do update set version = excluded.version, "
    "owner = coalesce(excluded.owner, o.owner), "
    "owner_id = coalesce(excluded.owner_id, o.owner_id), metadata = excluded.metadata, "
    "user_metadata = coalesce(excluded.user_metadata, o.user_metadata) returning o.*"
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where an upload goes, whom the object will belong to, and whether it may replace one."""

    bucket: str
    name: str
    owner: str | None
    upsert: bool

    @property
    def path(self) -> str:
        """The bucket and the name, as in keys and tokens."""
        return f"{self.bucket}/{self.name}"

    def row(
        self, version: str, metadata: dict[str, Any] | None, user_metadata: dict[str, Any] | None
    ) -> tuple[Any, ...]:
        """Return the parameters of the statements above."""
        try:
            owner = UUID(self.owner) if self.owner else None
        except ValueError:
            owner = None
        return self.bucket, self.name, version, owner, self.owner, metadata, user_metadata


@dataclass(frozen=True)
class Limits:
    """What a bucket accepts: the largest file in bytes, and types (None or empty are all)."""

    size: int
    types: list[str] | None


async def limits_of(exchange: Exchange, target: Target) -> Limits:
    """Return the limits for an upload; raises StorageError for a bad name or unknown bucket."""
    check_bucket(target.bucket)
    check_object(target.name)
    async with exchange.transaction(superuser=True) as db:
        row = await db.fetchrow(
            "select file_size_limit, allowed_mime_types from storage.buckets where id = $1",
            target.bucket,
        )
    if row is None:
        raise no_such_bucket()
    if is_placeholder(target.name):
        return Limits(0, None)
    size = exchange.config.file_size_limit
    if row["file_size_limit"] is not None:
        size = min(size, row["file_size_limit"])
    return Limits(size, row["allowed_mime_types"])


async def check_permission(
    exchange: Exchange,
    target: Target,
    *,
    metadata: dict[str, Any],
    user_metadata: dict[str, Any] | None,
    superuser: bool = False,
) -> None:
    """Try to write the row, and undo it: raises StorageError if policies or a row forbid it."""
    statement = _UPSERT if target.upsert else _INSERT
    try:
        async with exchange.transaction(superuser=superuser, undo=True) as db:
            await db.execute(statement, *target.row("1", metadata, user_metadata))
    except asyncpg.UniqueViolationError:
        raise duplicate("KeyAlreadyExists") from None


async def complete(
    exchange: Exchange,
    target: Target,
    version: str,
    *,
    metadata: dict[str, Any],
    user_metadata: dict[str, Any] | None,
) -> asyncpg.Record:
    """Write the row of bytes that are on disk, as superuser; return it.

    Removes the bytes of the version that it replaces, or its own if there can be no row. After
    other errors they stay: the row may exist, or a resumable upload may try again.
    """
    try:
        async with exchange.transaction(superuser=True) as db:
            await db.execute(
                "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"storage:{target.path}"
            )
            replaced = await db.fetchval(
                "select version from storage.objects where bucket_id = $1 and name = $2",
                *(target.bucket, target.name),
            )
            row = await db.fetchrow(_UPSERT, *target.row(version, metadata, user_metadata))
            assert row is not None  # an upsert always returns its row
    except asyncpg.IntegrityConstraintViolationError:  # the bucket is gone
        await exchange.disk.remove([version])
        raise
    if replaced != version:
        await exchange.disk.remove([replaced])
    return row


async def create(exchange: Exchange) -> Response:
    """POST /object/{bucket}/{name}."""
    target = _target(exchange, upsert=exchange.request.headers.get("x-upsert") == "true")
    row = await _store(exchange, target)
    return json_response({"Id": row["id"], "Key": target.path})


async def replace(exchange: Exchange) -> Response:
    """PUT /object/{bucket}/{name}."""
    target = _target(exchange, upsert=True)
    row = await _store(exchange, target)
    return json_response({"Id": row["id"], "Key": target.path})


async def sign_upload(exchange: Exchange) -> Response:
    """POST /object/upload/sign/{bucket}/{name}: the caller's permission now is what counts."""
    request = exchange.request
    target = _target(exchange, upsert=request.headers.get("x-upsert") == "true")
    await check_permission(
        exchange,
        target,
        metadata=declared_facts(request.headers.get("content-type"), content_length(request)),
        user_metadata=metadata_header(request),
    )
    token = sign(
        exchange.config.jwt_secret,
        "upload",
        target.path,
        UPLOAD_SECONDS,
        upsert=target.upsert,
        **({"owner": target.owner} if target.owner else {}),
    )
    return json_response({"url": signed_url("upload", target.path, token), "token": token})


async def upload_signed(exchange: Exchange) -> Response:
    """PUT /object/upload/sign/{bucket}/{name}?token=: as superuser, in the bucket's limits."""
    token = exchange.request.query_params.get("token")
    target = signed_target(exchange, exchange.bucket, exchange.name, token or "")
    await _store(exchange, target, superuser=True)
    return json_response({"Key": target.path})


def signed_target(exchange: Exchange, bucket: str, name: str, token: str) -> Target:
    """Return what an upload token allows; raises StorageError if it is not for this object."""
    claims = verify(exchange.config.jwt_secret, "upload", f"{bucket}/{name}", token)
    upsert = claims.get("upsert") is True
    return Target(bucket=bucket, name=name, owner=claims.get("owner"), upsert=upsert)


def _target(exchange: Exchange, *, upsert: bool) -> Target:
    return Target(bucket=exchange.bucket, name=exchange.name, owner=exchange.owner, upsert=upsert)


async def _store(exchange: Exchange, target: Target, *, superuser: bool = False) -> asyncpg.Record:
    limits = await limits_of(exchange, target)
    file = await read_file(exchange.request)
    check_mime(file.mime, limits.types)
    if (file.size or 0) > limits.size:
        raise too_large()
    await check_permission(
        exchange,
        target,
        metadata=file.facts(),
        user_metadata=file.user_metadata,
        superuser=superuser,
    )
    version = str(uuid4())
    stored = await exchange.disk.write(version, file.chunks, limits.size)
    return await complete(
        exchange,
        target,
        version,
        metadata=stored.metadata(file.mime, file.cache_control),
        user_metadata=file.user_metadata or {},
    )
