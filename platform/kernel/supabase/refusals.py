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
    """Raise a slice's own errors for refusals of Supabase Auth, by their code.

    `with refusals({"same_password": SamePassword}): await auth.set_password(…)`. A refusal with
    another code is not changed: the kernel translates it. The codes are listed at
    https://supabase.com/docs/guides/auth/debugging/error-codes
    """
    try:
        yield
    except AuthError as error:
        meaning = meanings.get(code_of(error))
        if meaning is None:
            raise
        raise meaning from None
