"""Converts every failure into the one error format."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from postgrest import APIError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from supabase_auth.errors import AuthError

from kernel.cache.stored import RenderedResponse
from kernel.core.request_id import request_id
from kernel.errors import (
    ApiError,
    BodyTooLarge,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
    ValidationFailed,
)
from kernel.supabase.auth_errors import from_auth, known_code
from kernel.supabase.errors import from_database

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: ValidationFailed,  # FastAPI's response to an unreadable body
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
}
_READS: Final = frozenset({"GET", "HEAD"})
# Kinds of validation errors whose message contains none of the input.
_SAFE_KINDS: Final = frozenset(
    {
        "missing", "invalid",
        "bool_parsing", "bool_type",
        "int_from_float", "int_parsing", "int_parsing_size", "int_type",
        "string_type", "string_too_long", "string_too_short", "string_unicode",
        "greater_than", "greater_than_equal", "less_than", "less_than_equal",
        "list_type", "literal_error", "enum",
        "email_not_ascii", "email_too_long", "nul_character",
        "password_length", "password_too_long", "password_too_short", "token_length",
    }
)  # fmt: skip
# Of texts that are normalised first, pydantic speaks of items.
_LENGTHS: Final = {
    "too_short": ("min_length", "at least"),
    "too_long": ("max_length", "at most"),
}
_MESSAGES: Final = {
    "extra_forbidden": "There is a field here that is not known.",
    "string_pattern_mismatch": "There are characters here that are not allowed.",
    "json_invalid": "This is not valid JSON.",
    "uuid_parsing": "This is not a UUID.",
    "model_attributes_type": "This is not an object.",
    "dict_type": "This is not an object.",
    "value_error": "This value is not valid.",
}


def failure(error: ApiError) -> RenderedResponse:
    """Return the response to an error, with its headers."""
    body = orjson.dumps(
        {
            "success": False,
            "error": {
                "code": error.code,
                "message": error.message,
                "details": {"request_id": request_id.get(), **error.details},
            },
        }
    )
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    if error.status == Unauthenticated.status:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    return RenderedResponse(error.status, headers, body)


def failure_response(error: ApiError) -> Response:
    """Return the same as a Starlette response."""
    rendered = failure(error)
    response = Response(rendered.body, rendered.status)
    response.raw_headers = list(rendered.headers)
    return response


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return field and message of each validation error, without the input.

    Names of unknown fields are input, too.
    """
    return [_field_error(error) for error in errors]


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    kind, place = error["type"], list(error["loc"])
    if kind == "extra_forbidden":
        place.pop()
    elif kind == "json_invalid":
        place = place[:1]
    if kind in _LENGTHS:
        bound, words = _LENGTHS[kind]
        message = f"String should have {words} {error['ctx'][bound]} characters"
    elif kind in _SAFE_KINDS:
        message = error["msg"]
    else:
        message = _MESSAGES.get(kind, _MESSAGES["value_error"])
    return {"field": ".".join(map(str, place)), "message": message}


async def _unexpected(_: Request, __: Exception) -> Response:
    return failure_response(ApiError())


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    if error.may_have_acted and request.method not in _READS:
        return failure_response(OutcomeUnknown())
    return failure_response(error)


async def _validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return failure_response(ValidationFailed(fields=field_errors(error.errors())))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ApiError):  # why the rest of the body did not arrive
        return failure_response(error.__cause__)
    kind = _BY_STATUS.get(error.status_code)
    if kind is None:
        raise error
    response = failure_response(kind())
    response.headers.update(error.headers or {})
    return response


async def _database(_: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)
    meaning = from_database(error)
    if meaning is None:
        raise error
    return failure_response(meaning)


def install(app: FastAPI, *, refused: Callable[[str], None]) -> None:
    """Make the application answer every failure in the one format.

    `refused` counts refusals of Supabase Auth that no slice expects, by their code.
    Unhandled exceptions get their response here, and are raised again to the Edge, which logs them.
    """

    async def auth(_: Request, error: Exception) -> Response:
        assert isinstance(error, AuthError)
        refused(known_code(error))
        return failure_response(from_auth(error))

    app.add_exception_handler(Exception, _unexpected)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(APIError, _database)
    app.add_exception_handler(AuthError, auth)
