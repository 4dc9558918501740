"""Translates refusals of Supabase to a slice's own errors, by their code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from postgrest import APIError as DatabaseRefusal
from supabase_auth.errors import AuthApiError as AuthRefusal
from supabase_auth.errors import AuthError
from supabase_auth.types import Session as AuthSession

from kernel.errors import ApiError
from kernel.supabase.auth_errors import code_of

__all__ = ["AuthRefusal", "AuthSession", "DatabaseRefusal", "refusals"]


@contextmanager
def refusals(meanings: Mapping[str, type[ApiError]]) -> Iterator[None]:
    """Raise a slice's own errors for refusals of Supabase, by their code.

    `with refusals({"same_password": SamePassword}): await auth.set_password(…)`. A refusal with
    another code is not changed: the kernel translates it. Auth's codes are listed at
    https://supabase.com/docs/guides/auth/debugging/error-codes. For tables and functions they are
    those of PostgreSQL, such as 23505 where a row breaks a unique index, or of PostgREST:
    https://docs.postgrest.org/en/stable/references/errors.html
    """
    try:
        yield
    except (AuthError, DatabaseRefusal) as error:
        code = code_of(error) if isinstance(error, AuthError) else str(error.code or "")
        meaning = meanings.get(code)
        if meaning is None:
            raise
        raise meaning from None
