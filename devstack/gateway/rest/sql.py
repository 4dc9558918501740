"""From parsed conditions to SQL text and its parameters.

The text contains keywords, generated aliases and quoted names from the catalog; everything else
from a request is bound. Values are bound as text and cast, so that PostgreSQL refuses invalid ones.
"""

from dataclasses import dataclass, field
from typing import Final

from devstack.gateway.rest.errors import RestError, unknown_column, unsupported
from devstack.gateway.rest.grammar import SEARCHES
from devstack.gateway.rest.schema import Schema, Table
from devstack.gateway.rest.syntax import Column, Field, Filter, Logic, Order

# PostgreSQL's protocol counts parameters in 16 bits.
_MAX_PARAMETERS: Final = 32_000
_SYMBOLS: Final = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=",
    "like": "LIKE", "ilike": "ILIKE", "match": "~", "imatch": "~*",
    "isdistinct": "IS DISTINCT FROM",
    "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>",
    "adj": "-|-",
}  # fmt: skip
_IS: Final = {"not_null": "NOT NULL"}
_PATTERNS: Final = frozenset({"like", "ilike", "match", "imatch"})
_TO_QUERY: Final = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_TEXT: Final = '"pg_catalog"."text"'
_JSON: Final = frozenset({'"pg_catalog"."json"', '"pg_catalog"."jsonb"'})


def quoted(identifier: str) -> str:
    """Return a name of the catalog as SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def public(name: str) -> str:
    """Return the qualified name of a table or function."""
    return f"public.{quoted(name)}"


@dataclass
class Source:
    """Rows in a FROM clause: `alias` of `table`.

    `embedded` maps each embedded name to the SQL of its rows, None inside if it has none; `used`
    collects the named columns.
    """

    table: Table
    alias: str
    embedded: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def column(self, name: str) -> tuple[str, str]:
        """Return a column's SQL and type; raises RestError (400 42703)."""
        if name not in self.table.columns:
            raise unknown_column(self.table.name, name)
        self.used.add(name)
        return f"{self.alias}.{quoted(name)}", self.table.columns[name].type


class Builder:
    """Collects the parameters of one statement and writes its expressions."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.parameters: list[str | list[str]] = []
        self._aliases = 0

    def alias(self) -> str:
        """Return an unused alias."""
        self._aliases += 1
        return f"t{self._aliases}"

    def bind(self, value: str, type_name: str = _TEXT) -> str:
        """Return the placeholder of a value, cast from text."""
        return f"{self._placeholder(value)}::text::{type_name}"

    def bind_list(self, values: list[str], array_type: str) -> str:
        """Return the placeholder of a list, cast from an array of text."""
        return f"{self._placeholder(values)}::text[]::{array_type}"

    def _placeholder(self, value: str | list[str]) -> str:
        if len(self.parameters) >= _MAX_PARAMETERS:
            raise RestError(413, "PGRST100", "The request has too many values")
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    def column(self, source: Source, column: Column) -> str:
        """Return the SQL of a selected column, path and cast included."""
        expression, _ = self._field(source, column.field)
        if column.cast is not None:
            return f"CAST({expression} AS {self.schema.type(column.cast)})"
        return expression

    def _field(self, source: Source, named: Field) -> tuple[str, str]:
        known = named.name in source.table.columns
        if not known and self.schema.computes(source.table, named.name):
            raise unsupported("a function as a column (a computed column)")
        expression, type_name = source.column(named.name)
        if not named.path:
            return expression, type_name
        if type_name not in _JSON:
            expression, type_name = f"to_jsonb({expression})", '"pg_catalog"."jsonb"'
        for step in named.path:
            key = self.bind(step.key, "pg_catalog.int4" if step.index else _TEXT)
            expression = f"({expression} {'->>' if step.as_text else '->'} {key})"
            type_name = _TEXT if step.as_text else type_name
        return expression, type_name

    def where(self, source: Source, terms: list[Filter | Logic]) -> str:
        """Return all conditions as one expression; '' without any."""
        return " AND ".join(self._condition(source, term) for term in terms)

    def _condition(self, source: Source, term: Filter | Logic) -> str:
        if isinstance(term, Logic):
            word = " OR " if term.any_of else " AND "
            condition = f"({word.join(self._condition(source, t) for t in term.terms)})"
        elif term.field.name in source.embedded and not term.field.path:
            condition = _presence(term, source.embedded[term.field.name])
        else:
            condition = f"({self._comparison(source, term)})"
        return f"NOT {condition}" if term.negated else condition

    def _comparison(self, source: Source, term: Filter) -> str:
        left, type_name = self._field(source, term.field)
        if isinstance(term.value, tuple):
            return f"{left} = ANY({self.bind_list(list(term.value), type_name + '[]')})"
        if term.operator == "is":
            return f"{left} IS {_IS.get(term.value, term.value.upper())}"
        if term.operator in SEARCHES:
            return self._search(left, type_name, term.operator, term.value, term.argument)
        value = term.value
        if term.operator in _PATTERNS:
            type_name = _TEXT
            value = value.replace("*", "%") if term.operator in {"like", "ilike"} else value
        symbol = _SYMBOLS[term.operator]
        if term.quantifier is not None:
            return f"{left} {symbol} {term.quantifier}({self.bind(value, type_name + '[]')})"
        return f"{left} {symbol} {self.bind(value, type_name)}"

    def _search(
        self, left: str, type_name: str, operator: str, value: str, language: str | None
    ) -> str:
        config = f"{self.bind(language, 'pg_catalog.regconfig')}, " if language else ""
        if type_name != '"pg_catalog"."tsvector"':
            left = f"to_tsvector({config}{left})"
        return f"{left} @@ {_TO_QUERY[operator]}({config}{self.bind(value)})"

    def order(self, source: Source, terms: tuple[Order, ...]) -> str:
        """Return the ORDER BY clause; '' without one."""
        written = []
        for term in terms:
            expression, _ = self._field(source, term.field)
            direction = " DESC" if term.descending else ""
            nulls = f" NULLS {term.nulls}" if term.nulls else ""
            written.append(f"{expression}{direction}{nulls}")
        return f" ORDER BY {', '.join(written)}" if written else ""


def _presence(term: Filter, embedded: str) -> str:
    if term.operator != "is" or term.value not in {"null", "not_null"}:
        raise RestError(
            400,
            "PGRST120",
            f"Bad operator on the '{term.field.name}' embedded resource",
            details="Only is null or not is null filters are allowed on embedded resources",
        )
    return f"({embedded} IS {_IS.get(term.value, 'NULL')})"
