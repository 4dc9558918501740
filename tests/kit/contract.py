"""Every response of every test is compared with the OpenAPI document of its application.

`checked(app)` is a hook of the clients that tests call an application with.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jsonschema_rs
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from kernel.web.routing import Failure

_FAILURE = jsonschema_rs.validator_for(Failure.model_json_schema())
_JSON = "application/json"
_DOCUMENTS: dict[tuple[object, ...], "Contract"] = {}


class Contract:
    """An OpenAPI document, and what it says of a response.

    The operations in `strict` are compared. Routes of tests, and of the kit, may answer
    what they do not list.
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
        if operation is not None and operation["operationId"] not in self._strict:
            return
        if answer.status_code >= 400 and method != "HEAD" and path.startswith("/api/"):
            assert answer.headers["content-type"] == _JSON, where
            _FAILURE.validate(answer.json())
        if operation is None:
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


def checked(app: FastAPI) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return the hook that checks each response of a client of this application."""

    async def check(answer: httpx.Response) -> None:
        await answer.aread()
        request = answer.request
        contract_of(app).check(request.method, request.url.path, answer)

    return check
