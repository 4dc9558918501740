"""Auth's errors, in the two formats of GoTrue."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

API_VERSION = "2024-01-01"


class AuthError(Exception):
    """A refusal: HTTP status, GoTrue's error code and a sentence.

    `headers` are added to the response, `detail` to its body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.detail = detail or {}


def validation_failed(message: str) -> AuthError:
    """Return the refusal of an input; 400."""
    return AuthError(400, "validation_failed", message)


def bad_json(message: str) -> AuthError:
    """Return the refusal of a body; 400."""
    return AuthError(400, "bad_json", f"Could not parse request body as JSON: {message}")


def bad_jwt(message: str) -> AuthError:
    """Return the refusal of an access token; 403."""
    return AuthError(403, "bad_jwt", f"invalid JWT: {message}")


def unsupported(feature: str) -> AuthError:
    """Return the refusal of a function that this gateway does not have; 501."""
    return AuthError(501, "not_implemented", f"The local gateway does not support {feature}.")


def email_exists() -> AuthError:
    """Return the refusal of an address that is taken; 422."""
    message = "A user with this email address has already been registered"
    return AuthError(422, "email_exists", message)


def user_not_found(status: int = 404, message: str = "User not found") -> AuthError:
    """Return the refusal of an unknown id or address."""
    return AuthError(status, "user_not_found", message)


def as_response(error: AuthError, request: Request) -> Response:
    """Return the response, in the format of the request's API version."""
    headers = dict(error.headers)
    # GoTrue writes weak passwords in another code path, without that header.
    if error.code != "weak_password":
        headers["x-sb-error-code"] = error.code
    if request.headers.get("x-supabase-api-version", "") >= API_VERSION:
        headers["x-supabase-api-version"] = API_VERSION
        body: dict[str, Any] = {"code": error.code, "message": error.message}
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
    return json_response(body | error.detail, status=error.status, headers=headers)


def json_response(
    body: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a JSON response; times are written in UTC with a Z."""
    return Response(
        orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
