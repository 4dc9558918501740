"""A strict parser of structured fields (RFC 9651), as far as lists of items go."""

import re
from typing import NoReturn

Bare = str | int | bool
Item = tuple[Bare, dict[str, Bare]]

_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")


class Malformed(ValueError):
    """The field's value is not a list of items."""


def parse_list(value: str) -> list[Item]:
    """Return the items of a list with their parameters (RFC 9651, 4.2.1).

    Raises Malformed. Inner lists, decimals, byte sequences, dates and display strings are not
    known here, and malformed.
    """
    rest, items = value.strip(" "), []
    while rest:
        item, rest = _item(rest)
        items.append(item)
        rest = rest.lstrip(" \t")
        if not rest:
            return items
        if not rest.startswith(","):
            _refuse(value)
        rest = rest[1:].lstrip(" \t")
        if not rest:
            _refuse(value)  # a comma at the end
    return items


def _item(rest: str) -> tuple[Item, str]:
    bare, rest = _bare(rest)
    parameters: dict[str, Bare] = {}
    while rest.startswith(";"):
        rest = rest[1:].lstrip(" ")
        found = _KEY.match(rest) or _refuse(rest)
        rest = rest[found.end() :]
        parameters[found[0]] = True
        if rest.startswith("="):
            parameters[found[0]], rest = _bare(rest[1:])
    return (bare, parameters), rest


def _bare(rest: str) -> tuple[Bare, str]:
    if found := _STRING.match(rest):
        return re.sub(r"\\(.)", r"\1", found[1]), rest[found.end() :]
    if found := _INTEGER.match(rest):
        return int(found[0]), rest[found.end() :]
    if found := _TOKEN.match(rest):
        return found[0], rest[found.end() :]
    if rest[:2] in {"?0", "?1"}:
        return rest[:2] == "?1", rest[2:]
    return _refuse(rest)


def _refuse(text: str) -> NoReturn:
    raise Malformed(text)
