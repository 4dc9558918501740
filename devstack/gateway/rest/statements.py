"""The one statement of a request: a read, a write or a call, and facts about its rows."""
# ruff: noqa: S608 - this is the compiler: names are from the catalog, values are bound

from dataclasses import dataclass
from typing import Final, Literal

from devstack.gateway.rest.errors import unsupported
from devstack.gateway.rest.reads import Reader, Rows
from devstack.gateway.rest.schema import Function, Schema, Table
from devstack.gateway.rest.sql import Builder, public, quoted
from devstack.gateway.rest.syntax import Query

Shape = Literal["array", "object", "csv", "none"]
Count = Literal["exact", "planned", "estimated"]

# Settings by which SQL functions and triggers change the response; read last, after they ran.
_SETTINGS: Final = ", ".join(
    f"current_setting('{name}', true) AS {name.split('.')[1]}_setting"
    for name in ("response.headers", "response.status", "rest.merged")
)


@dataclass(frozen=True)
class ResponseForm:
    """The format of a response: its shape, and the kind of total count."""

    shape: Shape = "array"
    count: Count | None = None


@dataclass(frozen=True)
class Statement:
    """SQL that returns one row: body, rows, total, location and the settings.

    `planned` is a query to EXPLAIN for the total, `header` is the first line of CSV.
    """

    sql: str
    parameters: list[str | list[str]]
    planned: str | None = None
    header: str = ""


def read_table(
    schema: Schema, name: str, query: Query, form: ResponseForm, max_rows: int
) -> Statement:
    """Compile a GET of a table."""
    builder = Builder(schema)
    reader = Reader(builder, query, max_rows)
    rows = reader.root(schema.table(name), public(name))
    return answer_rows(builder, reader, rows, form, counted=f"SELECT 1 {rows.tail}")


def call_function(
    schema: Schema,
    function: Function,
    query: Query,
    form: ResponseForm,
    max_rows: int,
    *,
    body: str | None,
    names: tuple[str, ...],
) -> Statement:
    """Compile a call with the arguments of a JSON `body`, or those of the query string."""
    builder = Builder(schema)
    source, arguments = _arguments(builder, function, query, body, names)
    call = f"{public(function.name)}({arguments})"
    alias = "t0" if function.rows is not None else "t0(v)"
    called = f"WITH w AS MATERIALIZED (SELECT t0.* FROM {source}{call} AS {alias}) "
    reader = Reader(builder, query, max_rows)
    rows = reader.root(function.rows or Table(function.name, {}), "w")
    if not function.returns_set and form.shape == "array":
        form = ResponseForm("object", form.count)
    if function.rows is not None:
        return answer_rows(
            builder, reader, rows, form, counted=f"SELECT 1 {rows.tail}", prefix=called
        )
    if form.shape == "csv":
        raise unsupported("text/csv for a function that returns no rows")
    data = "NULL::json" if function.void else f"to_json({rows.source.alias}.v)"
    total = "(SELECT count(*) FROM w)" if form.count else "NULL::bigint"
    return Statement(_wrap(called, form.shape, rows.select(data), total), builder.parameters)


def _arguments(
    builder: Builder,
    function: Function,
    query: Query,
    body: str | None,
    names: tuple[str, ...],
) -> tuple[str, str]:
    """Return the source of the call's arguments, and how to pass them."""
    passed = []
    if body is None:
        for argument in function.arguments:
            values = [value for name, value in query.arguments if name == argument.name]
            if values:
                name = quoted(argument.name)
                if argument.variadic:
                    bound = builder.bind_list(values, argument.type)
                    passed.append(f"VARIADIC {name} := {bound}")
                else:
                    passed.append(f"{name} := {builder.bind(values[-1], argument.type)}")
        return "", ", ".join(passed)
    if not function.accepts(names):
        return "", builder.bind(body, function.arguments[0].type)
    used = [argument for argument in function.arguments if argument.name in names]
    for argument in used:
        name = quoted(argument.name)
        passed.append(f"{'VARIADIC ' * argument.variadic}{name} := a.{name}")
    if not used:
        return "", ""
    columns = ", ".join(f"{quoted(argument.name)} {argument.type}" for argument in used)
    record = f"json_to_record({builder.bind(body, 'json')}) AS a({columns}), LATERAL "
    return record, ", ".join(passed)


def answer_rows(
    builder: Builder,
    reader: Reader,
    rows: Rows,
    form: ResponseForm,
    *,
    counted: str | None = None,
    prefix: str = "",
    location: str = "NULL::text",
) -> Statement:
    """Compile the response about `rows`, in the requested format.

    `counted` selects all rows of which these are a page; None for a write, which has no pages.
    `prefix` is the WITH clause before it, `location` the SQL of the written key.
    """
    header = ""
    if form.shape == "none":
        inner = rows.select("NULL::json")
    elif form.shape == "csv":
        values = ", ".join(value for _, value in rows.values)
        header = ",".join(key for key, _ in rows.values)
        inner = rows.select(f"ROW({values})::text")
    else:
        inner = rows.select(reader.json(rows))
    total = "NULL::bigint"
    if form.count is not None and counted is None:
        total = "count(*)"
    elif form.count == "exact":
        total = f"(SELECT count(*) FROM ({counted}) AS c)"
    planned = counted if form.count in {"planned", "estimated"} else None
    if planned is not None and prefix:
        raise unsupported(f"count={form.count} for functions")
    sql = _wrap(prefix, form.shape, inner, total, location)
    return Statement(sql, builder.parameters, planned, header)


def _wrap(prefix: str, shape: Shape, inner: str, total: str, location: str = "NULL::text") -> str:
    body = {
        "array": "coalesce(json_agg(r.data), '[]'::json)::text",
        "object": "(json_agg(r.data) -> 0)::text",
        "csv": "coalesce(string_agg(substr(r.data, 2, length(r.data) - 2), chr(10)), '')",
        "none": "NULL::text",
    }[shape]
    return (
        f"{prefix}SELECT {body} AS body, count(*) AS rows, {total} AS total, "
        f"{location} AS location, {_SETTINGS} FROM ({inner}) AS r"
    )
