"""Objects as rows: remove, move, copy and list, each as far as row security lets the caller."""

import base64
import binascii
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import asyncpg
import orjson
from starlette.responses import Response

from devstack.gateway.storage.errors import (
    StorageError,
    access_denied,
    invalid_request,
    json_response,
    no_bytes,
    no_such_key,
)
from devstack.gateway.storage.exchange import Db, Exchange, JsonBody
from devstack.gateway.storage.incoming import metadata_header
from devstack.gateway.storage.names import check_bucket, check_object
from devstack.gateway.storage.uploads import Target, check_permission, complete

_COLUMNS: Final = (
    "name", "bucket_id", "owner", "owner_id", "version", "id", "updated_at", "created_at",
    "last_accessed_at", "metadata", "user_metadata",
)  # fmt: skip
_MAX_DELETED: Final = 1000
_FIND: Final = "select * from storage.objects where bucket_id = $1 and name = $2"
# The entries of a folder: files, and folders without an id. $4 is the depth: how many parts of a
# name, after the prefix $2, make an entry. $3 is a pattern; `lower` is empty where case counts.
_ENTRIES: Final = """
  with found as (
    select o.*, string_to_array(substr(o.name, char_length($2) + 1), '/') as parts
    from storage.objects o where o.bucket_id = $1 and {lower}(o.name) like {lower}($3)
  ), entries as (
    select array_to_string(parts, '/') as name, id, updated_at, created_at, last_accessed_at,
      metadata
    from found where cardinality(parts) <= $4
    union all
    select distinct array_to_string(parts[:$4], '/'), null::uuid, null::timestamptz,
      null::timestamptz, null::timestamptz, null::jsonb
    from found where cardinality(parts) > $4
  )
  select * from entries
"""
_PAGE: Final = 1000


async def remove(exchange: Exchange) -> Response:
    """DELETE /object/{bucket}/{name}."""
    async with exchange.transaction(superuser=True) as db:
        await _row(db, exchange.bucket, exchange.name)
    removed = await _remove(exchange, [exchange.name])
    if not removed:
        raise access_denied("Access denied")
    return json_response({"message": "Successfully deleted"})


async def remove_many(exchange: Exchange) -> Response:
    """DELETE /object/{bucket}: returns the objects that it removed."""
    names = (await exchange.json()).texts("prefixes")
    if not names:
        raise invalid_request("body must have required property 'prefixes'", error="Error")
    if len(names) > _MAX_DELETED:
        message = f"Bulk object requests are limited to {_MAX_DELETED} objects per request."
        raise invalid_request(message)
    return json_response([_public(row) for row in await _remove(exchange, names)])


async def move(exchange: Exchange) -> Response:
    """POST /object/move: the caller needs to see the object and may update it so."""
    source, target = _places(exchange, await exchange.json(), upsert=False)
    change = (
        "update storage.objects set bucket_id = $3, name = $4, version = $5, "
        "owner_id = coalesce($6, owner_id) where bucket_id = $1 and name = $2 returning *"
    )
    version = str(uuid4())
    parameters = (*source, target.bucket, target.name, version, exchange.owner)
    async with exchange.transaction(undo=True) as db:
        await _row(db, *source)
        if await db.fetchrow(change, *parameters) is None:
            raise no_such_key()
    async with exchange.transaction(superuser=True) as db:
        row = await db.fetchrow(f"{_FIND} for update", *source)
        if row is None:
            raise no_such_key()
        if source != (target.bucket, target.name):
            await _copy_bytes(exchange, row["version"], version)
            await db.execute(change, *parameters)
    if source != (target.bucket, target.name):
        await exchange.disk.remove([row["version"]])
    return json_response({"message": "Successfully moved", "Id": row["id"], "Key": target.name})


async def copy(exchange: Exchange) -> Response:
    """POST /object/copy: the caller needs to see the object, and may upload the copy."""
    body = await exchange.json()
    upsert = exchange.request.headers.get("x-upsert") == "true"
    source, target = _places(exchange, body, upsert=upsert)
    async with exchange.transaction() as db:
        row = await _row(db, *source)
    metadata, user_metadata = dict(row["metadata"] or {}), row["user_metadata"]
    if body.flag("copyMetadata") is False:
        given = body.mapping("metadata")
        for name in ("cacheControl", "mimetype"):
            if (value := given.text(name)) is not None:
                metadata[name] = value
        user_metadata = metadata_header(exchange.request)
    await check_permission(exchange, target, metadata=metadata, user_metadata=user_metadata)
    version = str(uuid4())
    await _copy_bytes(exchange, row["version"], version)
    copied = await complete(
        exchange, target, version, metadata=metadata, user_metadata=user_metadata
    )
    return json_response({"Id": copied["id"], "Key": target.path, **_public(copied)})


async def list_folder(exchange: Exchange) -> Response:
    """POST /object/list/{bucket}: the files and folders under a prefix."""
    body = await exchange.json()
    prefix, search = body.required("prefix"), body.text("search") or ""
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    sort = body.mapping("sortBy")
    column = sort.choice("column", ("name", "updated_at", "created_at", "last_accessed_at"))
    order = sort.choice("order", ("asc", "desc")) or "asc"
    by = f'lower(name) collate "C" {order}'
    if column and column != "name":
        by = f"id is not null, {column} {order}, {by}"
    async with exchange.transaction() as db:
        rows = await db.fetch(
            f"{_ENTRIES.format(lower='lower')} order by {by} limit $5 offset $6",
            *(exchange.bucket, prefix, f"{_literal(prefix + search)}%", search.count("/") + 1),
            body.number("limit", minimum=1) or 100,
            body.number("offset", minimum=0) or 0,
        )
    return json_response([dict(row) for row in rows])


async def list_v2(exchange: Exchange) -> Response:
    """POST /object/list-v2/{bucket}: page by page, with a cursor; folders only if asked for."""
    body = await exchange.json()
    prefix, limit = body.text("prefix") or "", min(body.number("limit", minimum=1) or _PAGE, _PAGE)
    sort = body.mapping("sortBy")
    column = sort.choice("column", ("name", "updated_at", "created_at")) or "name"
    order = sort.choice("order", ("asc", "desc")) or "asc"
    after_time, after_name = None, None
    if cursor := body.text("cursor"):
        column, order, after_time, after_name = _read_cursor(cursor)
    key = "'epoch'::timestamptz" if column == "name" else f"coalesce({column}, 'epoch')"
    # The folder that holds the prefix: names of entries are made relative to it, and whole again.
    folder = prefix[: prefix.rfind("/") + 1]
    depth = 1 if body.flag("with_delimiter") else 2**31 - 1
    async with exchange.transaction() as db:
        rows = await db.fetch(
            f"select *, {key} as position from ({_ENTRIES.format(lower='')}) e "  # noqa: S608 - columns from the lists above
            f'where $5::text is null or ({key}, name collate "C") '
            f"{'>' if order == 'asc' else '<'} ($6::timestamptz, $5) "
            f'order by position {order}, name collate "C" {order} limit $7',
            *(exchange.bucket, folder, f"{_literal(prefix)}%", depth, after_name, after_time),
            limit + 1,
        )
    page, cursor = rows[:limit], None
    if len(rows) > limit:
        cursor = _cursor(column, order, page[-1]["position"], page[-1]["name"])
    answer: dict[str, Any] = {
        "hasNext": cursor is not None,
        "folders": [_entry(row, folder) for row in page if row["id"] is None],
        "objects": [_entry(row, folder) for row in page if row["id"] is not None],
    }
    return json_response(answer if cursor is None else {**answer, "nextCursor": cursor})


def _places(exchange: Exchange, body: JsonBody, *, upsert: bool) -> tuple[tuple[str, str], Target]:
    bucket = body.required("bucketId")
    source = bucket, body.required("sourceKey")
    target = Target(
        bucket=body.text("destinationBucket") or bucket,
        name=body.required("destinationKey"),
        owner=exchange.owner,
        upsert=upsert,
    )
    check_bucket(bucket)
    check_object(target.name)
    return source, target


async def _row(db: Db, bucket: str, name: str) -> asyncpg.Record:
    row = await db.fetchrow(_FIND, bucket, name)
    if row is None:
        raise no_such_key()
    return row


async def _remove(exchange: Exchange, names: list[str]) -> list[asyncpg.Record]:
    async with exchange.transaction() as db:
        rows = await db.fetch(
            "delete from storage.objects where bucket_id = $1 and name = any ($2) returning *",
            *(exchange.bucket, names),
        )
    # After the commit: a row without bytes would be an error, bytes without a row are only waste.
    await exchange.disk.remove(row["version"] for row in rows)
    return rows


async def _copy_bytes(exchange: Exchange, version: str | None, new: str) -> None:
    try:
        await exchange.disk.copy(version or "", new)
    except (FileNotFoundError, ValueError):
        raise no_bytes() from None


def _public(row: asyncpg.Record) -> dict[str, Any]:
    owner = {name: str(row[name] or "") for name in ("owner", "owner_id")}  # as the real server
    return {name: row[name] for name in _COLUMNS} | owner


def _literal(text: str) -> str:
    """Return a pattern of LIKE that is only this text."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _entry(row: asyncpg.Record, folder: str) -> dict[str, Any]:
    name = f"{folder}{row['name']}" + ("/" if row["id"] is None else "")
    times = ("updated_at", "created_at", "last_accessed_at", "metadata")
    return {"id": row["id"], "key": row["name"], "name": name, **{t: row[t] for t in times}}


def _cursor(column: str, order: str, position: datetime, name: str) -> str:
    return base64.b64encode(orjson.dumps([column, order, position, name])).decode()


def _read_cursor(cursor: str) -> tuple[str, str, datetime, str]:
    try:
        column, order, position, name = orjson.loads(base64.b64decode(cursor, validate=True))
        if column in {"name", "updated_at", "created_at"} and order in {"asc", "desc"}:
            return column, order, datetime.fromisoformat(position), str(name)
    except (binascii.Error, ValueError, TypeError):
        pass
    raise StorageError(400, "InvalidParameter", "Invalid Parameter continuation token")
