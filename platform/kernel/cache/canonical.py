"""Which requests are looked up: by the values that they mean, however they are written.

`?page=1`, `?page=01` and `?page=1&x=2` mean the same to the route, so they have one key and one
load. What the route would refuse, or take differently, is not looked up: FastAPI answers it. So a
cursor that this list did not give out makes no key.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi._compat import ModelField, field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from kernel.core.cursors import PAGE_SIZE, Cursor, ListCursors

Read = Callable[[Any], object]

# As FastAPI reads them: pydantic takes many spellings of one value.
_READERS: Final[dict[object, Read]] = {
    **{kind: TypeAdapter(kind).validate_python for kind in (UUID, int, bool)},
    Cursor | None: Cursor,
}
_LARGEST: Final = 10**18  # what no column can hold makes no key
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a route; `read` is None for a type that makes no key."""

    name: str
    read: Read | None
    default: object = PydanticUndefined
    many: bool = False

    @property
    def required(self) -> bool:
        """Whether the client must send it."""
        return self.default is PydanticUndefined


class CanonicalRequest:
    """Reads the values of a route's parameters out of a path and a query.

    `path` is the route's template, with the prefix; `cursors` verify its cursors. Raises ValueError
    for a route whose answer depends on more than path and query, or on a parameter of a type that
    makes no key. `cursor` is the name of its cursor, None without one.
    """

    def __init__(self, route: APIRoute, path: str, cursors: ListCursors | None = None) -> None:
        dependants = list(_all(route.dependant))
        if any(one.header_params or one.cookie_params or one.body_params for one in dependants):
            raise ValueError("depends on headers, cookies or a body")
        if any(_minds_others(field) for one in dependants for field in one.query_params):
            raise ValueError("depends on parameters that it does not name")
        if route.dependant.request_param_name is not None:
            raise ValueError("takes the whole request: any part might change the response")
        typed = {p.name: p for one in dependants for p in _parameters(one.path_params)}
        if unknown := set(_PATH_PARAMETER.findall(path)) - set(typed):
            raise ValueError(f"{min(unknown)} is in the path, but the route has no such parameter")
        self._in_path = [typed[name] for name in _PATH_PARAMETER.findall(path)]
        query = parameters_of(route)
        for parameter in (*self._in_path, *query):
            if parameter.read is None and parameter.required:
                raise ValueError(f"{parameter.name} must be a UUID, an int, a bool or a cursor")
        self.parameters = [one for one in (*self._in_path, *query) if one.read]
        self._cursors = cursors
        self.cursor = next((one.name for one in query if one.read is Cursor), None)
        self._query = {one.name: one.read for one in query}
        self._defaults = {one.name: one.default for one in query}
        self._path = re.compile(
            "".join(
                "([^/]+)" if part.startswith("{") else re.escape(part)
                for part in re.split(r"(\{\w+\})", path)
            )
        )

    def values(self, path: str, query: bytes) -> Mapping[str, object] | None:
        """Return the values by name, or None where the route has to look at the request itself.

        A UUID is its text; a parameter of the query that is not sent has its default, and one that
        the route does not know counts for nothing, as for FastAPI.
        """
        found = self._path.fullmatch(path)
        if found is None:
            return None
        values = dict(self._defaults)
        sent: set[str] = set()
        try:
            for parameter, text in zip(self._in_path, found.groups(), strict=True):
                values[parameter.name] = _value(parameter.read, text)
            for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
                if name not in self._query:
                    continue
                if name in sent:
                    return None
                sent.add(name)
                values[name] = _value(self._query[name], text)
            if PydanticUndefined in values.values():
                return None
            self._verify_cursor(values)
        except ValueError:  # pydantic's, too
            return None
        return values

    def _verify_cursor(self, values: Mapping[str, object]) -> None:
        """Raise ValueError for a cursor that is not of this list with these values."""
        cursor = values.get(self.cursor) if self.cursor else None
        if not isinstance(cursor, Cursor):
            return
        if self._cursors is None:
            raise ValueError("there is no key to verify it")
        filters = {
            name: one for name, one in values.items() if name not in {self.cursor, PAGE_SIZE}
        }
        self._cursors.read(cursor, filters)


def parameters_of(route: APIRoute) -> list[Parameter]:
    """Return the parameters of a route's query."""
    return [one for each in _all(route.dependant) for one in _parameters(each.query_params)]


def _value(read: Read | None, text: str) -> object:
    """Return the value. Raises ValueError for a text that is none."""
    if read is None:
        raise ValueError("a text of its own makes no key")
    value = read(text)
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise ValueError("no column holds this number")
    return str(value) if isinstance(value, UUID) else value


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for one in dependant.dependencies:
        yield from _all(one)


def _model_of(field: ModelField) -> type[BaseModel] | None:
    info: Any = field.field_info
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _minds_others(field: ModelField) -> bool:
    model = _model_of(field)
    return model is not None and model.model_config.get("extra", "ignore") != "ignore"


def _parameters(fields: list[ModelField]) -> Iterator[Parameter]:
    """Yield the parameters; for a parameter that is a model, yield the model's fields instead."""
    for field in fields:
        info: Any = field.field_info
        if (model := _model_of(field)) is not None:
            for name, own in model.model_fields.items():
                default = own.get_default(call_default_factory=True, validated_data={})
                yield _parameter(own.alias or name, own.annotation, default)
        else:
            yield _parameter(field.alias, info.annotation, info.get_default())


def _parameter(name: str, kind: Any, default: object) -> Parameter:
    many = field_annotation_is_sequence(kind)
    return Parameter(name, _READERS.get(kind), default, many)
