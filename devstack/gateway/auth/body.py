"""Reads a request's JSON body, field by field."""

import re
from typing import Any

import orjson
from starlette.requests import Request

from devstack.gateway.auth.errors import bad_json


class JsonBody:
    """A JSON object; a missing or null field has its type's empty value.

    Every accessor raises AuthError (400 bad_json) if the field has another type.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Return a string field."""
        value: str = self._field(name, str, "")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean field."""
        value: bool = self._field(name, bool, default)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object field."""
        value: dict[str, Any] = self._field(name, dict, {})
        return value

    def _field(self, name: str, kind: type, default: object) -> Any:
        value = self._fields.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise bad_json(f"field {name} must be a JSON {_NAMES[kind]}")
        return value


# The escape of NUL, which PostgreSQL's text cannot contain: an odd number of backslashes.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NAMES = {str: "string", bool: "boolean", dict: "object"}


async def read_body(request: Request) -> JsonBody:
    """Return the body; raises AuthError (400 bad_json) if it is not a JSON object."""
    raw = await request.body()
    try:
        # orjson refuses other text that PostgreSQL cannot store: lone surrogates, broken UTF-8.
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad_json(error.msg) from None
    if fields is not None and not isinstance(fields, dict):
        raise bad_json("the body must be an object")
    if _NUL.search(raw):
        raise bad_json("NUL characters are not allowed")
    return JsonBody(fields or {})
