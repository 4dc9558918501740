"""How refusals of PostgREST are translated for our caller, unless a slice does it."""

import re
from typing import Final

import orjson
from postgrest import APIError

from kernel.errors import (
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    QuotaExceeded,
    SessionRevoked,
    Unauthenticated,
    ValidationFailed,
)
from kernel.supabase.http import SupabaseUnavailable

# The records are unavailable: no response or, during a deployment, no such SQL function yet.
RECORDS_UNAVAILABLE: Final = (SupabaseUnavailable, APIError)


# PostgREST's codes: https://docs.postgrest.org/en/stable/references/errors.html;
# PostgreSQL's: https://www.postgresql.org/docs/current/errcodes-appendix.html
_FROM_DATABASE: dict[str, type[ApiError]] = {
    "PGRST301": Unauthenticated,
    "PGRST302": Unauthenticated,
    "PGRST303": Unauthenticated,
    "PGRST116": NotFound,
    "42501": Forbidden,
    "23503": Conflict,
    "23505": Conflict,
    "23502": ValidationFailed,
    "23514": ValidationFailed,
    "PT409": Conflict,  # an Idempotency-Key whose row cannot be returned: see idempotency.claim
    "57014": SupabaseUnavailable,
    "PT401": SessionRevoked,  # check_session: it ended after we had looked
}
_QUOTA: Final = "PT429"  # PostgREST: PT and the status; raised by quotas.refuse
_SQLSTATE_LENGTH: Final = 5
_NAME: Final = re.compile(r"[a-z_]{1,40}")


def from_database(error: APIError) -> ApiError | None:
    """Return the error for a refusal of PostgREST, or None if the fault is ours."""
    code = str(error.code or "")
    if code.startswith("22"):  # data exceptions: a value that its column cannot hold
        return ValidationFailed()
    if code == _QUOTA:
        return _quota(error.details)
    if code.isdigit() and len(code) < _SQLSTATE_LENGTH:  # the client could not read the response
        return SupabaseUnavailable()
    kind = _FROM_DATABASE.get(code)
    return kind() if kind else None


def _quota(details: object) -> QuotaExceeded:
    """Return the refusal with what `quotas.refuse` says of it."""
    try:
        said = orjson.loads(str(details))
        quota, limit, seconds = said["quota"], int(said["limit"]), said.get("retry_after")
    except (ValueError, KeyError, TypeError):
        return QuotaExceeded()
    if not _NAME.fullmatch(str(quota)):
        return QuotaExceeded()
    wait = max(1, int(seconds)) if seconds is not None else None
    return QuotaExceeded(retry_after=wait, quota=quota, limit=limit)
