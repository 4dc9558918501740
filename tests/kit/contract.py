"""Every response of every test is compared with the OpenAPI document of its application.

`checked(app)` is a hook of the clients that tests call an application with, `documented()` one of
clients of a process that runs `./app api`. Three kinds of responses are not compared: those to load
generators (the bench's and H2's count statuses), a proxy's own, and successes of the kit's slices,
which no document describes.
"""

import functools
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from kernel.web.routing import Failure

_FAILURE = jsonschema_rs.validator_for(Failure.model_json_schema())
_JSON = "application/json"
_COMMITTED: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
_DOCUMENTS: dict[tuple[object, ...], "Contract"] = {}


class Contract:
    """An OpenAPI document, and what it says of a response.

    The operations in `strict` are compared. Of others, the routes of tests and of the kit, only the
    errors are: they have the one format, and may be some that the route does not list.
    """

    def __init__(self, document: dict[str, Any], strict: frozenset[str]) -> None:
        self._document, self._strict = document, strict
        self._paths = [
            (re.compile(re.sub(r"\{[^{}]*\}", "[^/]+", path)), operations)
            for path, operations in sorted(document["paths"].items(), key=lambda one: "{" in one[0])
        ]
        self._validators: dict[str, Any] = {}

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Raise AssertionError where a response is not as the document says."""
        where = f"{method} {path} answered {answer.status_code}"
        operations: dict[str, Any] = next(
            (one for shape, one in self._paths if shape.fullmatch(path)), {}
        )
        operation = operations.get("get" if method == "HEAD" else method.lower())
        if answer.status_code >= 400 and method != "HEAD" and path.startswith("/api/"):
            assert answer.headers["content-type"] == _JSON, where
            _FAILURE.validate(answer.json())
        if operation is None or operation["operationId"] not in self._strict:
            return
        stated = operation["responses"].get(str(answer.status_code))
        assert stated is not None, f"{where}, which the document does not list: {answer.text}"
        for name, header in stated.get("headers", {}).items():
            self._check_header(f"{where}: the header {name}", header, answer.headers.get(name))
        content = stated.get("content", {})
        if method == "HEAD" or not content:
            assert not answer.content, f"{where} with a body, and the document has none"
            return
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in content, f"{where} as {kind}, which the document does not list"
        if kind == _JSON and (schema := content[kind].get("schema")):
            error = next(self._validator(schema).iter_errors(answer.json()), None)
            assert error is None, f"{where}, not as its schema says: {error}"

    def _check_header(self, where: str, header: dict[str, Any], value: str | None) -> None:
        if "$ref" in header:
            header = self._document["components"]["headers"][header["$ref"].rpartition("/")[2]]
        if value is None:
            assert not header.get("required"), f"{where} is missing"
        else:
            assert self._validator(header["schema"]).is_valid(value), f"{where} is {value}"

    def _validator(self, schema: dict[str, Any]) -> Any:
        key = repr(schema)
        if key not in self._validators:
            # References are looked up from the root, so the components come along.
            whole = schema | {"components": self._document.get("components", {})}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return self._validators[key]


def contract_of(app: FastAPI) -> Contract:
    """Return the contract of an application; applications of the same routes share one."""
    routes = [(one.path, getattr(one, "endpoint", None)) for one in iter_route_contexts(app.routes)]
    key = tuple(routes)
    if key not in _DOCUMENTS:
        document = app.openapi()
        strict = {path for path, endpoint in routes if _is_of_a_slice(endpoint)}
        _DOCUMENTS[key] = Contract(
            document,
            frozenset(
                operation["operationId"]
                for path, operations in document["paths"].items()
                if path in strict
                for operation in operations.values()
            ),
        )
    return _DOCUMENTS[key]


def _is_of_a_slice(endpoint: object) -> bool:
    return str(getattr(endpoint, "__module__", "")).startswith("features.")


Hook = Callable[[httpx.Response], Awaitable[None]]


def checked(app: FastAPI) -> Hook:
    """Return the hook that checks each response of a client of this application."""
    return _hook(lambda: contract_of(app))


def documented() -> Hook:
    """Return the hook for a client of a process: the committed document says what it answers."""
    return _hook(_committed)


def _hook(contract: Callable[[], Contract]) -> Hook:
    async def check(answer: httpx.Response) -> None:
        await answer.aread()
        request = answer.request
        contract().check(request.method, request.url.path, answer)

    return check


@functools.cache
def _committed() -> Contract:
    document = json.loads(_COMMITTED.read_text(encoding="utf-8"))
    operations = (one for path in document["paths"].values() for one in path.values())
    return Contract(document, frozenset(one["operationId"] for one in operations))
