"""A whole query string: the parameters of each level of the tree."""

import re
from typing import Final
from urllib.parse import parse_qsl, quote

from devstack.gateway.rest.errors import RestError, unsatisfiable
from devstack.gateway.rest.grammar import (
    is_filter,
    parse_filter,
    parse_logic,
    parse_order,
    parse_select,
)
from devstack.gateway.rest.scanner import Scanner
from devstack.gateway.rest.syntax import Field, Level, Query

_MAX_PARAMETERS: Final = 1000
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


def parse_query(raw: bytes, *, arguments: bool = False) -> Query:
    """Parse a raw query string; raises RestError (400 PGRST100) for an invalid one.

    `arguments`: this is a function called by GET; parameters that are not filters are its
    arguments.
    """
    try:
        pairs = parse_qsl(
            raw.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        message = f"The query string is not UTF-8 or has more than {_MAX_PARAMETERS} parameters"
        raise RestError(400, "PGRST100", message) from None
    pairs = [(key, value) for key, value in pairs if key != "apikey"]
    query = Query(canonical=_canonical(pairs))
    for key, value in pairs:
        _parameter(query, key, value, arguments=arguments)
    return query


def _parameter(query: Query, key: str, value: str, *, arguments: bool) -> None:
    match key:
        case "select":
            query.select = parse_select(value) if value else query.select
        case "columns":
            query.columns = Scanner(value, "columns parameter").names()
        case "on_conflict":
            query.on_conflict = Scanner(value, "on_conflict parameter").names()
        case _ if arguments and _is_argument(key, value):
            query.arguments.append((key, value))
        case _:
            path, field = _target(key)
            _modify(query.levels.setdefault(path, Level()), field, value)


def _is_argument(key: str, value: str) -> bool:
    reserved = key in {"order", "limit", "offset", "and", "or"}
    return not (reserved or "." in key or is_filter(value))


def _target(key: str) -> tuple[tuple[str, ...], Field]:
    """Split `author.posts.meta->>a` into the tables of the path and the final field."""
    scanner = Scanner(key, "tree path")
    names = [scanner.name()]
    while scanner.accept("."):
        names.append(scanner.name())
    path = scanner.path()
    scanner.end()
    if names[-1] in {"and", "or"} and names[-2:-1] == ["not"]:
        names[-2:] = ["not." + names[-1]]
    return tuple(names[:-1]), Field(names[-1], path)


def _modify(level: Level, field: Field, value: str) -> None:
    match field.name:
        case "and" | "or" | "not.and" | "not.or" as name:
            any_of, negated = name.endswith("or"), name.startswith("not.")
            level.where.append(parse_logic(value, any_of=any_of, negated=negated))
        case "order":
            level.order = parse_order(value)
        # An invalid number is no limit: PostgREST ignores it, so we do, too.
        case "limit" if _INTEGER.fullmatch(value):
            level.limit = int(value)
            if level.limit < 0:
                raise unsatisfiable("Limit should be greater than or equal to zero.")
        case "offset" if _INTEGER.fullmatch(value):
            level.offset = max(int(value), 0)
        case "limit" | "offset":
            return
        case _:
            level.where.append(parse_filter(field, value))


def _canonical(pairs: list[tuple[str, str]]) -> str:
    """Return the query string of `content-location`: sorted, equal keys joined by commas."""
    values: dict[str, list[str]] = {}
    for key, value in sorted(pairs, key=lambda pair: pair[0]):
        values.setdefault(key, []).append(quote(value, safe=""))
    return "&".join(f"{quote(key, safe='')}={','.join(found)}" for key, found in values.items())
