"""The routes of buckets. Without policies of the application they need the service key."""

import re
from typing import Any, Final

import asyncpg
from starlette.responses import Response

from devstack.gateway.storage.errors import (
    StorageError,
    duplicate,
    invalid_request,
    json_response,
    no_such_bucket,
    too_large,
)
from devstack.gateway.storage.exchange import Db, Exchange, JsonBody
from devstack.gateway.storage.names import check_bucket, check_mime_types

_COLUMNS: Final = (
    "id, name, public, owner, created_at, updated_at, file_size_limit, allowed_mime_types"
)
_SORTED: Final = ("id", "name", "created_at", "updated_at")
_UNITS: Final = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


async def list_buckets(exchange: Exchange) -> Response:
    """GET /bucket."""
    query = JsonBody(dict(exchange.request.query_params))
    column = query.choice("sortColumn", _SORTED) or "name"
    order = query.choice("sortOrder", ("asc", "desc")) or "asc"
    async with exchange.transaction() as db:
        rows = await db.fetch(
            f"select {_COLUMNS}, 'STANDARD' as type from storage.buckets "  # noqa: S608 - names from above
            "where strpos(lower(name), lower($1)) > 0 "
            f"order by {column} {order} limit $2 offset $3",
            query.text("search") or "",
            query.number("limit", minimum=1),
            query.number("offset", minimum=0) or 0,
        )
    return json_response([_public(row) for row in rows])


async def get(exchange: Exchange) -> Response:
    """GET /bucket/{bucket}."""
    async with exchange.transaction() as db:
        return json_response(await _row(db, exchange.bucket))


async def create(exchange: Exchange) -> Response:
    """POST /bucket."""
    body = await exchange.json()
    name = body.required("name")
    check_bucket(name)
    limits = _limits(exchange, body)
    statement = (
        "insert into storage.buckets "
        "(id, name, owner_id, public, file_size_limit, allowed_mime_types) "
        "values ($1, $2, $3, $4, $5, $6)"
    )
    row = (
        *(body.text("id") or name, name, exchange.owner, body.flag("public") or False),
        *(limits.get("file_size_limit"), limits.get("allowed_mime_types")),
    )
    try:
        async with exchange.transaction() as db:
            await db.execute(statement, *row)
    except asyncpg.UniqueViolationError:
        raise duplicate("BucketAlreadyExists") from None
    return json_response({"name": name})


async def update(exchange: Exchange) -> Response:
    """PUT /bucket/{bucket}: fields that are missing stay as they are, null removes a limit."""
    body = await exchange.json()
    changes = _limits(exchange, body)
    if (public := body.flag("public")) is not None:
        changes["public"] = public
    if not changes:
        raise invalid_request("No content provided")
    columns = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 2))
    async with exchange.transaction() as db:
        updated = await db.fetchval(
            f"update storage.buckets set {columns} where id = $1 returning id",  # noqa: S608 - names from here
            *(exchange.bucket, *changes.values()),
        )
    if updated is None:
        raise no_such_bucket()
    return json_response({"message": "Successfully updated"})


async def empty(exchange: Exchange) -> Response:
    """POST /bucket/{bucket}/empty: at once, where the real server takes a while."""
    async with exchange.transaction() as db:
        await _row(db, exchange.bucket)
    async with exchange.transaction(superuser=True) as db:
        rows = await db.fetch(
            "delete from storage.objects where bucket_id = $1 returning version", exchange.bucket
        )
    await exchange.disk.remove(row["version"] for row in rows)
    message = "Empty bucket has been queued. Completion may take up to an hour."
    return json_response({"message": message})


async def delete(exchange: Exchange) -> Response:
    """DELETE /bucket/{bucket}: only an empty one."""
    async with exchange.transaction(superuser=True) as db:
        await _row(db, exchange.bucket)
        if await db.fetchval(
            "select exists (select from storage.objects where bucket_id = $1)", exchange.bucket
        ):
            message = "The bucket you tried to delete is not empty"
            raise StorageError(409, "ResourceNotEmpty", message)
    async with exchange.transaction() as db:
        if not await db.fetchval(
            "delete from storage.buckets where id = $1 returning true", exchange.bucket
        ):
            raise no_such_bucket()
    return json_response({"message": "Successfully deleted"})


async def _row(db: Db, bucket: str) -> dict[str, Any]:
    row = await db.fetchrow(
        f"select {_COLUMNS} from storage.buckets where id = $1",  # noqa: S608 - names from above
        bucket,
    )
    if row is None:
        raise no_such_bucket()
    return _public(row)


def _public(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "owner": str(row["owner"] or "")}  # clients expect a string


def _limits(exchange: Exchange, body: JsonBody) -> dict[str, Any]:
    """Return the columns of the limits that the body sets."""
    limits: dict[str, Any] = {}
    if "allowed_mime_types" in body.fields:
        types = body.texts("allowed_mime_types")
        if types is not None:
            types = [mime for mime in types if mime]
            check_mime_types(types)
        limits["allowed_mime_types"] = types
    if "file_size_limit" in body.fields:
        limits["file_size_limit"] = size = _size(body.fields["file_size_limit"])
        if size is not None and size > exchange.config.file_size_limit:
            raise too_large()
    return limits


def _size(value: object) -> int | None:
    """Return bytes: a number, or a string such as 20MB (powers of 1,000)."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            return int(value)
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)(gb|mb|kb|b)", value, re.IGNORECASE | re.ASCII):
            return int(float(match[1]) * _UNITS[match[2].lower()])
    raise invalid_request("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
