"""INSERT, UPDATE and DELETE, with the rows of the response."""
# ruff: noqa: S608 - this is the compiler: names are from the catalog, values are bound

from dataclasses import dataclass
from typing import Literal

from devstack.gateway.rest.errors import RestError, unknown_column, unsupported
from devstack.gateway.rest.reads import Reader, Rows
from devstack.gateway.rest.schema import Schema, Table
from devstack.gateway.rest.sql import Builder, Source, public, quoted
from devstack.gateway.rest.statements import ResponseForm, Statement, answer_rows
from devstack.gateway.rest.syntax import Query

Resolution = Literal["merge-duplicates", "ignore-duplicates"]


@dataclass(frozen=True)
class Payload:
    """A body of rows: a JSON array as text, the number of rows, and the columns to write."""

    text: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Write:
    """The common inputs of a write: table, query string, and response format.

    `located`: the response names the primary key of the written row.
    """

    schema: Schema
    table: Table
    query: Query
    form: ResponseForm
    max_rows: int
    located: bool = False


def insert(
    write: Write, payload: Payload, resolution: Resolution | None, *, defaults: bool
) -> Statement:
    """Compile an insert; `defaults`: an omitted column gets its default, not null."""
    builder = Builder(write.schema)
    columns = _columns(write.table, payload)
    reader, rows = _returned(builder, write)
    into = f"INSERT INTO {public(write.table.name)} AS t0"
    if columns:
        names = ", ".join(quoted(column) for column in columns)
        source = _defaulted if defaults else _recordset
        command = f"{into} ({names}) {source(builder, write.table, payload.text, columns)}"
    elif payload.rows == 1:
        command = f"{into} DEFAULT VALUES"
    else:
        raise unsupported("inserting several rows without any columns")
    if resolution is not None:
        command += _on_conflict(write, columns, resolution)
    return _finish(builder, reader, rows, write, command)


def update(write: Write, payload: Payload) -> Statement:
    """Compile an update of the rows that the query string filters; a filter is required."""
    builder = Builder(write.schema)
    columns = _columns(write.table, payload)
    reader, rows = _returned(builder, write)
    record = f"json_to_record({builder.bind(payload.text, 'json')} -> 0)"
    values = f"{record} AS r({_definitions(write.table, columns)})"
    settings = ", ".join(f"{quoted(column)} = r.{quoted(column)}" for column in columns)
    target = f"{public(write.table.name)} AS t0"
    where = _where(builder, write, "UPDATE")
    command = f"UPDATE {target} SET {settings} FROM {values}{where}"
    return _finish(builder, reader, rows, write, command)


def delete(write: Write) -> Statement:
    """Compile a delete of the rows that the query string filters; a filter is required."""
    builder = Builder(write.schema)
    reader, rows = _returned(builder, write)
    where = _where(builder, write, "DELETE")
    command = f"DELETE FROM {public(write.table.name)} AS t0{where}"
    return _finish(builder, reader, rows, write, command)


def _columns(table: Table, payload: Payload) -> tuple[str, ...]:
    for column in payload.columns:
        if column not in table.columns:
            message = f"Could not find the '{column}' column of '{table.name}' in the schema cache"
            raise RestError(400, "PGRST204", message)
    return tuple(dict.fromkeys(payload.columns))


def _definitions(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{quoted(column)} {table.columns[column].type}" for column in columns)


def _recordset(builder: Builder, table: Table, text: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f"r.{quoted(column)}" for column in columns)
    rows = f"json_to_recordset({builder.bind(text, 'json')})"
    return f"SELECT {names} FROM {rows} AS r({_definitions(table, columns)})"


def _defaulted(builder: Builder, table: Table, text: str, columns: tuple[str, ...]) -> str:
    values = ", ".join(
        f"CASE WHEN e.item::jsonb ? {builder.bind(column)} THEN r.{quoted(column)} "
        f"ELSE {table.columns[column].default or 'NULL'} END"
        for column in columns
    )
    items = f"json_array_elements({builder.bind(text, 'json')}) AS e(item)"
    record = f"json_to_record(e.item) AS r({_definitions(table, columns)})"
    return f"SELECT {values} FROM {items}, LATERAL {record}"


def _on_conflict(write: Write, columns: tuple[str, ...], resolution: Resolution) -> str:
    target = write.query.on_conflict or tuple(write.table.key)
    for column in target:
        if column not in write.table.columns:
            raise unknown_column(write.table.name, column)
    if not target:
        return ""
    conflict = f" ON CONFLICT ({', '.join(quoted(column) for column in target)}) DO "
    if resolution == "ignore-duplicates" or not columns:
        return conflict + "NOTHING"
    settings = ", ".join(f"{quoted(column)} = EXCLUDED.{quoted(column)}" for column in columns)
    # Counts the existing rows, without reading a column that the caller may not read.
    merged = "coalesce(nullif(current_setting('rest.merged', true), ''), '0')::int + 1"
    counted = f"set_config('rest.merged', ({merged})::text, true) <> ''"
    return f"{conflict}UPDATE SET {settings} WHERE {counted}"


def _where(builder: Builder, write: Write, verb: str) -> str:
    level = write.query.root
    if level.limit is not None or level.offset:
        raise unsupported("limit and offset on updates and deletes")
    if not level.where:
        # As pg-safeupdate, which every Supabase project has, with its message.
        raise RestError(400, "21000", f"{verb} requires a WHERE clause")
    return f" WHERE {builder.where(Source(write.table, 't0'), level.where)}"


def _returned(builder: Builder, write: Write) -> tuple[Reader, Rows]:
    reader = Reader(builder, write.query, write.max_rows)
    if write.form.shape == "none":
        source = Source(write.table, "w")
        return reader, Rows(source, [], everything=False, tail="FROM w")
    return reader, reader.root(write.table, "w", filtered=False)


def _finish(builder: Builder, reader: Reader, rows: Rows, write: Write, command: str) -> Statement:
    """Return only the columns that the response needs: the caller may not read others."""
    needed = sorted(rows.source.used | set(write.table.key if write.located else ()))
    returning = ", ".join(f"t0.{quoted(column)}" for column in needed) or "1"
    location = "NULL::text"
    if write.located and write.table.key:
        keys = ", ".join(f"w.{quoted(column)}::text" for column in write.table.key)
        location = f"(SELECT json_build_array({keys})::text FROM w LIMIT 1)"
    if rows.everything:
        returning = "t0.*"
    prefix = f"WITH w AS ({command} RETURNING {returning}) "
    return answer_rows(builder, reader, rows, write.form, prefix=prefix, location=location)
