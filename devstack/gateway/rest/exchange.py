"""The three kinds of exchange: read, write and call; each has one statement and its response."""

from dataclasses import dataclass, replace
from typing import Final, cast
from urllib.parse import quote

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response

from devstack.gateway.rest.answer import answer
from devstack.gateway.rest.database import NOTHING, Context, Database, Result
from devstack.gateway.rest.errors import RestError, unsatisfiable
from devstack.gateway.rest.query import parse_query
from devstack.gateway.rest.request import (
    Media,
    Preferences,
    narrow,
    parse_arguments,
    parse_rows,
)
from devstack.gateway.rest.statements import (
    Count,
    ResponseForm,
    Statement,
    call_function,
    read_table,
)
from devstack.gateway.rest.syntax import Query
from devstack.gateway.rest.writes import Resolution, Write, delete, insert, update

_APPLIED: Final = {
    "POST": ("resolution", "missing", "return", "count"),
    "PATCH": ("missing", "return", "count"),
    "DELETE": ("return", "count"),
}


@dataclass(frozen=True)
class Exchange:
    """One request and everything that its response needs."""

    database: Database
    context: Context
    query_string: bytes
    body: bytes
    headers: Headers
    max_rows: int
    preferences: Preferences
    media: Media

    @property
    def form(self) -> ResponseForm:
        """The response format that the headers ask for."""
        count = cast(Count | None, self.preferences.get("count"))
        return ResponseForm(self.media.shape, count)

    @property
    def content_type(self) -> str:
        """The body's media type, '' if it is not stated."""
        return self.headers.get("content-type", "")

    async def run(self, statement: Statement, form: ResponseForm, *, read_only: bool) -> Result:
        """Run the statement of this exchange; if its check refuses, it is undone."""
        return await self.database.run(
            self.context,
            statement,
            read_only=read_only,
            count=form.count,
            check=lambda result: _check(result, form),
        )


def _check(result: Result, form: ResponseForm) -> None:
    """Refuse any number of rows but one if a single object was requested."""
    if form.shape == "object" and result.rows != 1:
        message = "Cannot coerce the result to a single JSON object"
        details = f"The result contains {result.rows} rows"
        raise RestError(406, "PGRST116", message, details=details)


async def read(exchange: Exchange, table: str) -> Response:
    """Answer GET and HEAD of a table."""
    query = parse_query(exchange.query_string)
    if exchange.context.method == "GET":
        narrow(query.root, exchange.headers.get("range"))
    form, media = exchange.form, exchange.media
    statement = read_table(exchange.database.schema, table, query, form, exchange.max_rows)
    result = await exchange.run(statement, form, read_only=True)
    located = f"/{quote(table, safe='')}" + (f"?{query.canonical}" if query.canonical else "")
    headers = {"content-location": located} | exchange.preferences.applied("count")
    return _page(query, statement, media, result, headers)


async def call(exchange: Exchange, name: str) -> Response:
    """Answer a call of a function, by GET with parameters or by POST with a JSON body."""
    posted = exchange.context.method == "POST"
    query = parse_query(exchange.query_string, arguments=not posted)
    body, names = None, tuple(argument for argument, _ in query.arguments)
    if posted:
        body, names = parse_arguments(exchange.content_type, exchange.body)
    elif exchange.context.method == "GET":
        narrow(query.root, exchange.headers.get("range"))
    schema, media = exchange.database.schema, exchange.media
    function = schema.function(name, names, json_body=posted)
    form = replace(exchange.form, shape="none") if function.void else exchange.form
    statement = call_function(
        schema, function, query, form, exchange.max_rows, body=body, names=names
    )
    result = await exchange.run(statement, form, read_only=not (posted and function.volatile))
    headers = exchange.preferences.applied("count")
    if function.void:
        return answer(204, result, headers)
    return _page(query, statement, media, result, headers)


async def write(exchange: Exchange, table: str) -> Response:
    """Answer POST, PATCH and DELETE of a table."""
    method, preferences, media = exchange.context.method, exchange.preferences, exchange.media
    returned = preferences.get("return")
    represented = returned == "representation"
    form = replace(exchange.form, shape=media.shape if represented else "none")
    command = Write(
        schema=exchange.database.schema,
        table=exchange.database.schema.table(table),
        query=parse_query(exchange.query_string),
        form=form,
        max_rows=exchange.max_rows,
        located=method == "POST" and returned == "headers-only",
    )
    result = NOTHING
    if (statement := _compile(exchange, command)) is not None:
        result = await exchange.run(statement, form, read_only=False)
    else:
        _check(result, form)
    status, extent = 200 if represented else 204, "*"
    if method == "POST":
        # 200 says that all rows existed and none was created.
        status = 200 if 0 < result.merged == result.rows else 201
    elif method == "PATCH" and result.rows:
        extent = f"0-{result.rows - 1}"
    total = "*" if form.count is None else str(result.total)
    headers = {"content-range": f"{extent}/{total}"} | preferences.applied(*_APPLIED[method])
    if result.location is not None:
        values = zip(command.table.key, orjson.loads(result.location), strict=True)
        keys = "&".join(f"{quote(key)}=eq.{quote(value, safe='')}" for key, value in values)
        headers["location"] = f"/{quote(table, safe='')}?{keys}"
    if not represented:
        return answer(status, result, headers)
    return answer(status, result, headers, media, _body(statement, result))


def _compile(exchange: Exchange, command: Write) -> Statement | None:
    """Return the statement of a write; None if its body has no rows."""
    method, preferences = exchange.context.method, exchange.preferences
    if method == "DELETE":
        return delete(command)
    payload = parse_rows(exchange.content_type, exchange.body, command.query.columns)
    if method == "PATCH":
        return update(command, payload) if payload.columns and payload.rows else None
    resolution = cast(Resolution | None, preferences.get("resolution"))
    defaults = preferences.get("missing") == "default"
    return insert(command, payload, resolution, defaults=defaults) if payload.rows else None


def _page(
    query: Query, statement: Statement, media: Media, result: Result, headers: dict[str, str]
) -> Response:
    """Answer a list with its range: 206 for a part of the rows, 416 past the end."""
    first, total = query.root.offset, result.total
    extent = f"{first}-{first + result.rows - 1}" if result.rows else "*"
    headers = {"content-range": f"{extent}/{'*' if total is None else total}"} | headers
    if total is not None and first > total:
        refused = unsatisfiable(
            f"An offset of {first} was requested, but there are only {total} rows."
        )
        refused.headers |= headers
        raise refused
    status = 206 if total is not None and result.rows < total else 200
    return answer(status, result, headers, media, _body(statement, result))


def _body(statement: Statement | None, result: Result) -> str:
    if statement is None or not statement.header:
        return result.body
    return f"{statement.header}\n{result.body}"
