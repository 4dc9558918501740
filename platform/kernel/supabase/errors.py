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
    "PT409": Conflict,  # an Idempotency-Key whose row cannot be returned: see idempotency.claim
    "57014": SupabaseUnavailable,
    "PT401": SessionRevoked,  # check_session: it ended after we had looked
}
_QUOTA: Final = "PT429"  # PostgREST: PT and the status; raised by quotas.refuse
# Data exceptions: a value that its column cannot hold. Besides these: null, and a check.
_REFUSED_VALUES: Final = frozenset({"23502", "23514"})
_COLUMN: Final = re.compile(r'column "([a-z_]{1,63})"')
_CHECK: Final = re.compile(
    r'relation "([a-z_]{1,63})" violates check constraint "([a-z0-9_]{1,63})"'
)
_KIND_OF_CHECK: Final = re.compile(r"_(?:check\d{0,3}|one_line)$")
_SQLSTATE_LENGTH: Final = 5
_NAME: Final = re.compile(r"[a-z_]{1,40}")


def from_database(error: APIError) -> ApiError | None:
    """Return the error for a refusal of PostgREST, or None if the fault is ours."""
    code = str(error.code or "")
    if code.startswith("22") or code in _REFUSED_VALUES:
        message = "The database does not accept this value."
        return ValidationFailed(fields=[{"field": _field(error.message or ""), "message": message}])
    if code == _QUOTA:
        return _quota(error.details)
    if code.isdigit() and len(code) < _SQLSTATE_LENGTH:  # the client could not read the response
        return SupabaseUnavailable()
    kind = _FROM_DATABASE.get(code)
    return kind() if kind else None


def _field(message: str) -> str:
    """Return the field of the body that PostgreSQL's message names by its column or constraint.

    A check's name begins with its table and column: see the migrations.
    """
    if found := _COLUMN.search(message):
        return f"body.{found[1]}"
    if found := _CHECK.search(message):
        column = found[2].removeprefix(f"{found[1]}_")
        return f"body.{_KIND_OF_CHECK.sub('', column)}"
    return "body"


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
