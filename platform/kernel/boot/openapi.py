"""What FastAPI itself cannot know for the OpenAPI document."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from fastapi import FastAPI

from kernel.edge.routes import Route
from kernel.errors import (
    ApiError,
    BodyTooLarge,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    HostNotAllowed,
    HttpsRequired,
    NotAcceptable,
    OutcomeUnknown,
    PreconditionFailed,
    RequestTimeout,
    SessionRevoked,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
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
        "schema": {"type": "string", "examples": [example]},
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


def _header(description: str, example: str, *, always: bool = False, **schema: Any) -> Any:
    content = {"description": description, "required": always, "example": example}
    return content | {"schema": {"type": "string", **schema}}


_HEADERS: Final = {
    "X-Request-ID": _header(
        "Names this request: tell it to whoever helps you.",
        "0f8fad5bd9cb469fa16570867728950e",
        always=True,
        pattern="^[A-Za-z0-9._-]{8,128}$",
    ),
    "RateLimit-Policy": _header("The limits that count this call.", '"default";q=100;w=60'),
    "RateLimit": _header(
        "What is left of the scarcest limit, and the seconds until there is more.",
        '"default";r=99;t=60',
    ),
    "Retry-After": _header("Seconds to wait before you try again.", "5", pattern="^[0-9]+$"),
    "WWW-Authenticate": _header("How to authenticate.", "Bearer", always=True),
    "Cache-Control": _header("Who may store the response.", "private, no-cache", always=True),
    "ETag": _header("The version of the response.", '"5d41402abc4b2a76b9719d911017c592"'),
    "Idempotency-Replayed": _header(
        "There if this is the response to an earlier request with the same key.",
        "true",
        enum=["true"],
    ),
}
_OF_STATUS: Final = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def common_errors(feature: Feature) -> list[type[ApiError]]:
    """Return the errors of every call of a slice, in addition to those that it declares."""
    errors: list[type[ApiError]] = [ValidationFailed, Unavailable, DeadlineExceeded, ApiError]
    if feature.limited:
        errors += [TooManyRequests, HostNotAllowed, HttpsRequired]
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
    """Add the Edge's behaviour to the document: who may call what, its responses and headers."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = {SCHEME: _SCHEME_OBJECT}
            components["headers"] = _HEADERS
            for route in routes:
                operation = schema["paths"].get(route.path, {}).get(route.method.lower())
                if operation is not None:
                    _describe(operation, route)
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _describe(operation: dict[str, Any], route: Route) -> None:
    feature, responses = route.feature, operation["responses"]
    operation["security"] = _REQUIREMENTS[feature.caller]
    if feature.conditional:
        operation.setdefault("parameters", []).extend(_CONDITIONS)
    errors = _errors_of(route)
    if "requestBody" in operation:
        errors += [RequestTimeout, BodyTooLarge, UnsupportedMediaType]
    if route.method == "GET":
        errors += [NotAcceptable, PreconditionFailed]
    for error in errors:
        if str(error.status) not in responses:
            responses[str(error.status)] = _no_response()
    _complete(responses, errors)
    if _is_tagged(route):
        responses.setdefault("304", dict(_NOT_MODIFIED))
    for status, response in responses.items():
        headers = {
            name: {"$ref": f"#/components/headers/{name}"} for name in _headers_of(route, status)
        }
        response["headers"] = headers | response.get("headers", {})


def _is_tagged(route: Route) -> bool:
    return route.method == "GET" and route.feature.limited  # health answers are no-store


def _headers_of(route: Route, status: str) -> Iterator[str]:
    yield "X-Request-ID"
    yield "Cache-Control"
    if route.feature.limited:
        yield from ("RateLimit-Policy", "RateLimit")
    if route.feature.idempotent and status.startswith("2"):
        yield "Idempotency-Replayed"
    if _is_tagged(route) and status in {"200", "304"}:
        yield "ETag"
    yield from _OF_STATUS.get(status, ())


def _no_response() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Failure"}
    return {"description": "", "content": {"application/json": {"schema": schema}}}


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
