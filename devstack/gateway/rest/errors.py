"""PostgREST's errors, and its translation of PostgreSQL's."""

from typing import Any, Final

import asyncpg
import orjson
from starlette.responses import Response

from devstack.gateway.claims import TokenRefused

# By the first characters of the SQLSTATE, the longest first; others are 400. As in PostgREST's
# documentation of errors, except 21000 and 54: there a caller's own input would be a 500.
_STATUSES: Final = {
    "22023": 400, "23503": 409, "23505": 409, "25006": 405, "42883": 404, "42P01": 404,
    "42P17": 500, "53400": 500, "57P01": 503, "P0001": 400,
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500,
    "39": 500, "3B": 500, "40": 500, "53": 503, "54": 413, "55": 500, "57": 500, "58": 500,
    "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}  # fmt: skip
_STATUS_RANGE: Final = range(200, 600)


class RestError(Exception):
    """A refusal in PostgREST's format: status, code, message, details and hint."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details, self.hint, self.headers = details, hint, headers or {}

    @property
    def unknown_name(self) -> bool:
        """Whether a table, column or function was unknown: the schema may have changed."""
        return self.code in _UNKNOWN_NAMES

    def response(self) -> Response:
        """Return the response; `proxy-status` repeats the code."""
        body = {
            "code": self.code,
            "details": self.details,
            "hint": self.hint,
            "message": self.message,
        }
        # An SQL function can raise any code, but headers must be ASCII.
        code = self.code.encode("ascii", "replace").decode()
        headers = {"proxy-status": f"PostgREST; error={code}"} | self.headers
        media_type = "application/json; charset=utf-8"
        return Response(orjson.dumps(body), self.status, headers, media_type)


_UNKNOWN_NAMES: Final = frozenset(
    {"42703", "42704", "42883", "42P01", "PGRST200", "PGRST202", "PGRST204", "PGRST205"}
)


def unsupported(feature: str) -> RestError:
    """Return the refusal of a PostgREST function that this gateway does not have; 501."""
    return RestError(501, "PGRST127", f"The local gateway does not support {feature}.")


def unknown_column(relation: str, column: str) -> RestError:
    """Return PostgreSQL's own refusal of a column; 400."""
    return RestError(400, "42703", f"column {relation}.{column} does not exist")


def invalid_body(message: str = "Empty or invalid json") -> RestError:
    """Return the refusal of a body; 400."""
    return RestError(400, "PGRST102", message)


def unsatisfiable(details: str) -> RestError:
    """Return the refusal of a range; 416."""
    return RestError(416, "PGRST103", "Requested range not satisfiable", details=details)


def from_token(error: TokenRefused) -> RestError:
    """Return the 401 for a bearer token that was not accepted."""
    challenge = f'Bearer error="invalid_token", error_description="{error.message}"'
    return RestError(
        401,
        error.code,
        error.message,
        details=error.details,
        headers={"www-authenticate": challenge},
    )


def from_postgres(error: asyncpg.PostgresError, *, anonymous: bool) -> RestError:
    """Return the client's view of an SQL error; a missing privilege asks anon to sign in."""
    state, message = error.sqlstate or "XX000", error.message or ""
    if state == "PGRST":
        return _raised(message, error.detail)
    status = next((_STATUSES[state[:n]] for n in (5, 2) if state[:n] in _STATUSES), 400)
    if state == "42501":
        status = 401 if anonymous else 403
    elif state == "22023" and message.startswith("role ") and message.endswith("does not exist"):
        status = 401
    elif state.startswith("PT"):
        digits = state[2:]
        status = int(digits) if digits.isdecimal() and int(digits) in _STATUS_RANGE else 500
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004 - HTTP's number
    return RestError(status, state, message, details=error.detail, hint=error.hint, headers=headers)


def _raised(message: str, detail: str | None) -> RestError:
    """Return the response that a function raised with RAISE SQLSTATE 'PGRST'."""
    try:
        body, answer = orjson.loads(message), orjson.loads(detail or "")
        headers = {str(name): str(value) for name, value in answer.get("headers", {}).items()}
        return RestError(
            int(answer["status"]),
            str(body["code"]),
            str(body["message"]),
            details=body.get("details"),
            hint=body.get("hint"),
            headers=headers,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
        return RestError(500, "PGRST121", message)
