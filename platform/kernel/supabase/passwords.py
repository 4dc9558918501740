"""Which passwords are refused before Supabase Auth sees them."""

from functools import cache
from pathlib import Path

import jwt
from supabase_auth.errors import AuthWeakPasswordError

_LIST = Path(__file__).with_name("common_passwords.txt")


class PasswordRules:
    """Refuses what is guessed first: the own address and, where `common`, passwords that many use.

    The list holds the commonest of zxcvbn 4.5.0 (MIT, https://github.com/dwolfhub/zxcvbn-python),
    as far as they have 8 characters.
    """

    def __init__(self, *, common: bool) -> None:
        self._common = common

    def check(self, password: str, *, email: str | None) -> None:
        """Raise AuthWeakPasswordError for a password that would be guessed first."""
        wanted, address = password.casefold(), (email or "").casefold()
        if address and wanted in {address, address.partition("@")[0]}:
            raise _weak("email")
        if self._common and wanted in _common_passwords():
            raise _weak("pwned")


def email_in(token: str) -> str | None:
    """Return the address that an access token names; who checks tokens has checked it already."""
    email = jwt.decode(token, options={"verify_signature": False}).get("email")
    return email if isinstance(email, str) else None


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_LIST.read_text(encoding="ascii").split("\n"))


def _weak(reason: str) -> AuthWeakPasswordError:
    return AuthWeakPasswordError("This password is easy to guess.", 422, [reason])
