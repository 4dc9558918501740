"""Parses PostgREST's query strings; independent of the database.

The grammar is that of https://docs.postgrest.org/en/v13/references/api/tables_views.html.
"""

import re
from typing import Final, Literal, cast

from devstack.gateway.rest.errors import RestError, unsupported
from devstack.gateway.rest.scanner import Scanner
from devstack.gateway.rest.syntax import Column, Embed, Field, Filter, Logic, Order

QUANTIFIED: Final = frozenset({"eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
SEARCHES: Final = frozenset({"fts", "plfts", "phfts", "wfts"})
OPERATORS: Final = QUANTIFIED | SEARCHES | frozenset(
    {"neq", "in", "is", "isdistinct", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"}
)  # fmt: skip
IS_VALUES: Final = ("null", "not_null", "true", "false", "unknown")

_OPERATOR: Final = re.compile(r"([a-z]+)(?:\(([\w ]+)\))?\.")
_LISTED: Final = re.compile(r"[^,)]*")
_ARRAY: Final = re.compile(r'\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}')
_DIRECTION: Final = re.compile(r"(?:\.(?:asc|desc))?(?:\.(?:nullsfirst|nullslast))?")
_AGGREGATE: Final = re.compile(r"\.(?:sum|avg|count|min|max)\(\)")
_REST: Final = re.compile(r".*", re.DOTALL)
_IS_VALUE: Final = re.compile(r"\w+")

Item = Column | Embed


def parse_filter(field: Field, text: str) -> Filter:
    """Read the value of a filter parameter: `eq.1`, `not.in.(1,2)`, `like(any).{a*,b*}`."""
    scanner = Scanner(text, "filter")
    found = _filter(scanner, field, nested=False)
    scanner.end()
    return found


def is_filter(text: str) -> bool:
    """Whether a parameter of a function called by GET is a filter of its result."""
    try:
        parse_filter(Field(""), text)
    except RestError:
        return False
    return True


def parse_logic(text: str, *, any_of: bool, negated: bool) -> Logic:
    """Read the value of `and`, `or`: `(a.eq.1,not.and(b.gt.2,c.is.null))`."""
    scanner = Scanner(text, "logic tree")
    found = _logic(scanner, any_of=any_of, negated=negated)
    scanner.end()
    return found


def parse_select(text: str) -> tuple[Item, ...]:
    """Read `select=`: columns and embedded tables."""
    scanner = Scanner(text, "select parameter")
    items = _items(scanner)
    scanner.end()
    return items


def parse_order(text: str) -> tuple[Order, ...]:
    """Read `order=`: `a.desc.nullslast,b`."""
    scanner = Scanner(text, "order")
    terms = [_order(scanner)]
    while scanner.accept(","):
        terms.append(_order(scanner))
    scanner.end()
    return tuple(terms)


def _filter(scanner: Scanner, field: Field, *, nested: bool) -> Filter:
    negated = scanner.accept("not.")
    start = scanner.at
    match = _OPERATOR.match(scanner.text, start)
    operator, argument = (match[1], match[2]) if match else ("", None)
    quantified = operator in QUANTIFIED and argument in {"any", "all"}
    if (
        match is None
        or operator not in OPERATORS
        or (argument and not quantified and operator not in SEARCHES)
    ):
        rest = scanner.text[start:]
        names = ("not", *OPERATORS)
        known = max(n for n in range(11) if any(name.startswith(rest[:n]) for name in names))
        scanner.fail('"not" or operator (eq, gt, ...)', unexpected=start + known)
    scanner.at = match.end()
    value = _value(scanner, operator, nested=nested)
    if quantified:
        quantifier = cast(Literal["any", "all"], argument)
        return Filter(field, operator, value, negated, quantifier)
    return Filter(field, operator, value, negated, argument=argument)


def _value(scanner: Scanner, operator: str, *, nested: bool) -> str | tuple[str, ...]:
    if operator == "in":
        return _list(scanner)
    if operator == "is":
        start = scanner.at
        value = (scanner.take(_IS_VALUE) or "").lower()
        if value not in IS_VALUES:
            scanner.at = start
            scanner.fail(f"isVal: ({', '.join(IS_VALUES)})")
        return value
    if not nested:
        return scanner.take(_REST) or ""
    quoted = scanner.quoted()
    return quoted if quoted is not None else scanner.take(_ARRAY) or scanner.take(_LISTED) or ""


def _list(scanner: Scanner) -> tuple[str, ...]:
    scanner.expect("(")
    if scanner.accept(")"):
        return ()
    values: list[str] = []
    while not values or scanner.accept(","):
        quoted = scanner.quoted()
        values.append(quoted if quoted is not None else scanner.take(_LISTED) or "")
    scanner.expect(")")
    return tuple(values)


def _logic(scanner: Scanner, *, any_of: bool, negated: bool) -> Logic:
    scanner.deeper()
    scanner.expect("(")
    terms = [_term(scanner)]
    while scanner.accept(","):
        terms.append(_term(scanner))
    scanner.expect(")")
    scanner.shallower()
    return Logic(any_of, negated, tuple(terms))


def _term(scanner: Scanner) -> Filter | Logic:
    for prefix in ("and(", "or(", "not.and(", "not.or("):
        if scanner.accept(prefix):
            scanner.at -= 1
            any_of, negated = prefix.endswith("or("), prefix.startswith("not.")
            return _logic(scanner, any_of=any_of, negated=negated)
    field = scanner.field()
    scanner.expect(".")
    return _filter(scanner, field, nested=True)


def _items(scanner: Scanner) -> tuple[Item, ...]:
    items = [_item(scanner)]
    while scanner.accept(","):
        items.append(_item(scanner))
    return tuple(items)


def _item(scanner: Scanner) -> Item:
    if scanner.accept("*"):
        return Column(Field("*"))
    if scanner.accept("..."):
        raise unsupported("spreading an embedded table into its parent")
    name, alias = scanner.name(), None
    if scanner.text[scanner.at : scanner.at + 2] != "::" and scanner.accept(":"):
        name, alias = scanner.name(), name
    if scanner.text.startswith("count()", scanner.at - len("count")):
        raise _no_aggregates()
    if scanner.text[scanner.at : scanner.at + 1] in {"!", "("}:
        return _embed(scanner, name, alias)
    field = Field(name, scanner.path())
    type_name = scanner.name() if scanner.accept("::") else None
    if scanner.take(_AGGREGATE):
        raise _no_aggregates()
    return Column(field, alias, type_name)


def _embed(scanner: Scanner, name: str, alias: str | None) -> Embed:
    hint, inner = None, False
    while scanner.accept("!"):
        word = scanner.name()
        inner = inner or word == "inner"
        hint = hint if word in {"inner", "left"} else word
    scanner.deeper()
    scanner.expect("(")
    items = () if scanner.text.startswith(")", scanner.at) else _items(scanner)
    scanner.expect(")")
    scanner.shallower()
    return Embed(name, items, alias, hint, inner)


def _no_aggregates() -> RestError:
    # The default of PostgREST and of a new Supabase project.
    return RestError(400, "PGRST123", "Use of aggregate functions is not allowed")


def _order(scanner: Scanner) -> Order:
    field = scanner.field()
    if scanner.text.startswith("(", scanner.at):
        raise unsupported("ordering by a column of an embedded table")
    direction = scanner.take(_DIRECTION) or ""
    if scanner.accept("."):
        scanner.fail('"asc", "desc", "nullsfirst" or "nullslast"')
    nulls: Literal["FIRST", "LAST"] | None = "FIRST" if "nullsfirst" in direction else None
    return Order(field, ".desc" in direction, "LAST" if "nullslast" in direction else nulls)
