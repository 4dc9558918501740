"""Canonical requests: only these are looked up in the cache.

A canonical request writes UUIDs in lower case, integers plainly, and each known parameter once. Any
other spelling bypasses the cache, so that two spellings can neither share nor split a key.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import PydanticUndefined


@dataclass(frozen=True)
class Form:
    """The canonical form of a type: its pattern, and the function that reads it."""

    expression: str
    read: Callable[[str], object]


_FORMS: Final[dict[object, Form]] = {
    UUID: Form("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", str),
    int: Form("0|[1-9][0-9]{0,17}", int),
    bool: Form("true|false", "true".__eq__),
}
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a route; `form` is None for a type without a canonical form."""

    name: str
    form: Form | None
    default: object = PydanticUndefined

    @property
    def required(self) -> bool:
        """Whether the client must send it."""
        return self.default is PydanticUndefined


class CanonicalRequest:
    """Reads the values of a route's parameters from a canonical path and query.

    `path` is the route's template, with the prefix. Raises ValueError for a route whose response
    depends on more than path and query, or on a parameter that has no canonical form.
    """

    def __init__(self, route: APIRoute, path: str) -> None:
        dependants = list(_all(route.dependant))
        if any(one.header_params or one.cookie_params or one.body_params for one in dependants):
            raise ValueError("depends on headers, cookies or a body")
        if route.dependant.request_param_name is not None:
            raise ValueError("takes the whole request: any part might change the response")
        typed = {p.name: p for one in dependants for p in _parameters(one.path_params)}
        if unknown := set(_PATH_PARAMETER.findall(path)) - set(typed):
            raise ValueError(f"{min(unknown)} is in the path, but the route has no such parameter")
        self._in_path = [typed[name] for name in _PATH_PARAMETER.findall(path)]
        query = [p for one in dependants for p in _parameters(one.query_params)]
        for parameter in (*self._in_path, *query):
            if parameter.form is None and parameter.required:
                raise ValueError(f"{parameter.name} must be a UUID, an int or a bool")
        self.parameters = [one for one in (*self._in_path, *query) if one.form]
        self._query = {one.name: (one.form, _pattern(one.form)) for one in query if one.form}
        self._defaults = {one.name: one.default for one in query}
        self._path = re.compile(
            "".join(
                f"({_expression(typed[part[1:-1]])})" if part.startswith("{") else re.escape(part)
                for part in re.split(r"(\{\w+\})", path)
            )
        )

    def values(self, path: str, query: bytes) -> Mapping[str, object] | None:
        """Return the values by name, or None if the request is not canonical.

        A UUID is returned as text; a query parameter that was not sent has its default.
        """
        found = self._path.fullmatch(path)
        if found is None:
            return None
        values = dict(self._defaults)
        for parameter, text in zip(self._in_path, found.groups(), strict=True):
            values[parameter.name] = parameter.form.read(text) if parameter.form else text
        if query and not self._read(query.decode("latin-1"), values):
            return None
        return None if PydanticUndefined in values.values() else values

    def _read(self, query: str, values: dict[str, object]) -> bool:
        sent: set[str] = set()
        for pair in query.split("&"):
            name, _, text = pair.partition("=")
            form, pattern = self._query.get(name, (None, None))
            if form is None or pattern is None or name in sent or not pattern.fullmatch(text):
                return False
            sent.add(name)
            values[name] = form.read(text)
        return True


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for one in dependant.dependencies:
        yield from _all(one)


def _parameters(fields: list[ModelField]) -> Iterator[Parameter]:
    """Yield the parameters; for a parameter that is a model, yield the model's fields instead."""
    for field in fields:
        info: Any = field.field_info
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, own in kind.model_fields.items():
                default = own.get_default(call_default_factory=True, validated_data={})
                yield Parameter(own.alias or name, _FORMS.get(own.annotation), default)
        else:
            yield Parameter(field.alias, _FORMS.get(kind), info.get_default())


def _expression(parameter: Parameter) -> str:
    return parameter.form.expression if parameter.form else "[^/]+"


def _pattern(form: Form) -> "re.Pattern[str]":
    return re.compile(form.expression)
