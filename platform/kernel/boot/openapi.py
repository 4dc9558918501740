"""What FastAPI itself cannot know for the OpenAPI document."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from fastapi import FastAPI

from kernel.edge.routes import Route
from kernel.errors import (
    ApiError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    OutcomeUnknown,
    PreconditionFailed,
    SessionRevoked,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from kernel.feature import Feature
from kernel.identity.tokens import InvalidToken
from kernel.supabase.idempotency import IdempotencyKeyReused
from kernel.web.routing import raises

INTRODUCTION: Final = (
    "Calls with a lock need an access token. Sign up or log in, copy the `access_token` of the "
    "answer, and paste it under **Authorize**."
)
SCHEME: Final = "bearer"
_SCHEME_OBJECT: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The `access_token` of a login's response.",
}
_REQUIREMENTS: Final[dict[str, list[dict[str, list[str]]]]] = {
    "required": [{SCHEME: []}],
    "optional": [{SCHEME: []}, {}],
    "ignored": [],
}
_NOT_MODIFIED: Final = {"description": "If-None-Match has the ETag of the response."}


_CONDITIONS: Final = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }
    for name, description, example in (
        ("If-Match", "Write only if the resource has this `ETag`, else 412.", '"0123abcd"'),
        ("If-None-Match", "Write only if it has another `ETag`, else 412.", '"0123abcd"'),
        (
            "If-Unmodified-Since",
            "Write only if `updated_at`, where there is one, is not later, else 412.",
            "Sat, 28 Nov 2026 12:00:00 GMT",
        ),
    )
]


def common_errors(feature: Feature) -> list[type[ApiError]]:
    """Return the errors of every call of a slice, in addition to those that it declares."""
    errors: list[type[ApiError]] = [ValidationFailed, Unavailable, DeadlineExceeded, ApiError]
    if feature.limited:
        errors.append(TooManyRequests)
    if feature.caller != "ignored":
        errors += [Unauthenticated, InvalidToken, SessionRevoked]
    if feature.conditional:
        errors.append(PreconditionFailed)
    if feature.idempotent:
        errors += [Conflict, IdempotencyKeyReused]
    if feature.restricted:
        errors.append(Forbidden)
    return errors


def _errors_of(route: Route) -> list[type[ApiError]]:
    writes = [] if route.method in {"GET", "HEAD"} else [OutcomeUnknown]
    return [*common_errors(route.feature), *writes]


def describe(app: FastAPI, routes: Sequence[Route]) -> None:
    """Add the Edge's behaviour to the document.

    That is who may call what, and which responses can be 304.
    """
    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = {SCHEME: _SCHEME_OBJECT}
            for route in routes:
                operation = schema["paths"].get(route.path, {}).get(route.method.lower())
                if operation is not None:
                    operation["security"] = _REQUIREMENTS[route.feature.caller]
                    _complete(operation["responses"], _errors_of(route))
                    if route.feature.conditional:
                        operation.setdefault("parameters", []).extend(_CONDITIONS)
                    if route.cache is not None:
                        operation["responses"].setdefault("304", _NOT_MODIFIED)
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _complete(responses: dict[str, Any], errors: Iterable[type[ApiError]]) -> None:
    """Merge the common errors with a route's own responses of the same status."""
    missing = [one for one in errors if one.code not in _examples(responses[str(one.status)])]
    for status, added in raises(*missing).items():
        response = responses[str(status)]
        response["description"] = f"{added['description']} {response['description']}".strip()
        response["content"]["application/json"]["examples"] = _examples(added) | _examples(response)


def _examples(response: dict[str, Any]) -> dict[str, Any]:
    content = response.setdefault("content", {}).setdefault("application/json", {})
    examples: dict[str, Any] = content.setdefault("examples", {})
    return examples
