"""The content of the schema public: tables, foreign keys, functions and types."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from devstack.gateway.rest.errors import RestError

INTROSPECTION: Final = Path(__file__).with_name("introspect.sql").read_text()
# SQL's own names of types that the catalog knows only by other names.
_SPELLINGS: Final = {"int": "int4", "decimal": "numeric", "float": "float8"}


@dataclass(frozen=True)
class TableColumn:
    """A column; `type` is a quoted name fit for a cast, `default` an SQL expression."""

    name: str
    type: str
    default: str | None = None


@dataclass(frozen=True)
class Table:
    """A table, a view, or the rows that a function returns; `key` is its primary key."""

    name: str
    columns: dict[str, TableColumn]
    key: list[str] = field(default_factory=list)
    view: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A constraint; `pairs` are [source column, target column]."""

    name: str
    source: str
    target: str
    pairs: list[list[str]]
    unique: bool


@dataclass(frozen=True)
class Argument:
    """An input parameter of a function; without a name it is ''."""

    name: str
    type: str
    variadic: bool


@dataclass(frozen=True)
class Function:
    """A function; `rows` describes its result if that has columns."""

    name: str
    arguments: tuple[Argument, ...]
    defaults: int
    volatile: bool
    returns_set: bool
    void: bool
    rows: Table | None

    def accepts(self, names: Sequence[str]) -> bool:
        """Whether a call can have these arguments."""
        known = [argument.name for argument in self.arguments]
        required = known[: len(known) - self.defaults]
        return set(names) <= set(known) and set(required) <= set(names)


@dataclass(frozen=True)
class Schema:
    """One reading of the catalog."""

    tables: dict[str, Table] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    functions: tuple[Function, ...] = ()
    types: dict[str, str] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Return a table or view by name; raises RestError (404 PGRST205)."""
        if name not in self.tables:
            message = f"Could not find the table 'public.{name}' in the schema cache"
            raise RestError(404, "PGRST205", message)
        return self.tables[name]

    def type(self, spelling: str) -> str:
        """Return the quoted name of a type; raises RestError (400 42704)."""
        name = spelling.lower()
        found = self.types.get(spelling) or self.types.get(_SPELLINGS.get(name, name))
        if found is None:
            raise RestError(400, "42704", f'type "{spelling}" does not exist')
        return found

    def computes(self, table: Table, name: str) -> bool:
        """Whether a function takes a row of the table: a computed column or relationship."""
        row = [f'"public"."{table.name}"']
        return any(f.name == name and [a.type for a in f.arguments] == row for f in self.functions)

    def function(self, name: str, arguments: Sequence[str], *, json_body: bool) -> Function:
        """Return the function for a call; raises RestError (404 PGRST202, 300 PGRST203).

        With `json_body` a function with one unnamed json parameter is used if no other one matches.
        """
        overloads = [function for function in self.functions if function.name == name]
        fitting = [function for function in overloads if function.accepts(arguments)]
        if not fitting and json_body:
            fitting = [function for function in overloads if takes_body(function)]
        if not fitting:
            raise _no_function(name, sorted(arguments), json_body=json_body)
        if len(fitting) > 1:
            raise _ambiguous_function(fitting)
        return fitting[0]


def takes_body(function: Function) -> bool:
    """Whether the whole JSON body is the function's only argument, which has no name."""
    return [(a.name, a.type) for a in function.arguments] in (
        [("", '"pg_catalog"."json"')],
        [("", '"pg_catalog"."jsonb"')],
    )


def _no_function(name: str, arguments: list[str], *, json_body: bool) -> RestError:
    listed = ", ".join(arguments)
    called = f"({listed})" if arguments else " without parameters"
    searched = " without parameters"
    if arguments:
        searched = f" with parameter{'s' if len(arguments) > 1 else ''} {listed}"
    if json_body:
        searched += " or with a single unnamed json/jsonb parameter"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function public.{name}{called} in the schema cache",
        details=f"Searched for the function public.{name}{searched}, "
        "but no matches were found in the schema cache.",
    )


def _ambiguous_function(functions: list[Function]) -> RestError:
    candidates = ", ".join(
        f"public.{function.name}({', '.join(f'{a.name} => {a.type}' for a in function.arguments)})"
        for function in functions
    )
    return RestError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {candidates}",
        hint="Try renaming the parameters or the function itself in the database so function "
        "overloading can be resolved",
    )


def parse_schema(document: str) -> Schema:
    """Return the schema that one run of INTROSPECTION describes."""
    found = orjson.loads(document)
    tables = {
        table["name"]: Table(**table | {"columns": _columns(table["columns"])})
        for table in found["tables"]
    }
    foreign_keys = tuple(ForeignKey(**key) for key in found["foreign_keys"])
    functions = tuple(_function(function, tables) for function in found["functions"])
    return Schema(tables, foreign_keys, functions, found["types"])


def _columns(described: list[dict[str, Any]]) -> dict[str, TableColumn]:
    return {column["name"]: TableColumn(**column) for column in described}


def _function(described: dict[str, Any], tables: dict[str, Table]) -> Function:
    table, columns = described.pop("table"), described.pop("columns")
    rows = tables.get(table or "")
    if rows is None and columns is not None:
        rows = Table(described["name"], _columns(columns))
    arguments = tuple(Argument(**argument) for argument in described.pop("arguments"))
    return Function(**described, arguments=arguments, rows=rows)
