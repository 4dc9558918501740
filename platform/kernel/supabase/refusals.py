"""Translates refusals of Supabase to a slice's own errors, by their code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from postgrest import APIError as DatabaseRefusal
from supabase_auth.errors import AuthApiError as AuthRefusal
from supabase_auth.errors import AuthError, AuthSessionMissingError
from supabase_auth.types import Session as AuthSession

from kernel.errors import ApiError

__all__ = ["AuthRefusal", "AuthSession", "DatabaseRefusal", "refusals"]


@contextmanager
def refusals(meanings: Mapping[str, type[ApiError]]) -> Iterator[None]:
    """Raise a slice's own errors for refusals of Supabase Auth, by their code.

    `with refusals({"same_password": SamePassword}): await auth.set_password(…)`. A refusal with
    another code is not changed: the kernel translates it. The codes are listed at
    https://supabase.com/docs/guides/auth/debugging/error-codes
    """
    try:
        yield
    except AuthError as error:
        meaning = meanings.get(_code(error))
        if meaning is None:
            raise
        raise meaning from None


def _code(error: AuthError) -> str:
    if isinstance(error, AuthSessionMissingError):  # the client refuses an empty refresh token
        return "session_not_found"
    return error.code or ""
