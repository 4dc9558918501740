"""Which secrets and keys are not safe: known to everyone, guessable, or in each other's place."""

import hashlib
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, Literal

import jwt
from jwt.types import Options
from pydantic import SecretStr

from kernel.config.finding import Finding
from kernel.config.settings import SECRET_MIN_BYTES, Settings

Role = Literal["anon", "service_role"]

# What the Supabase CLI and ./app up sign with by default.
CLI_JWT_SECRET: Final = "super-secret-jwt-token-with-at-least-32-characters-long"  # noqa: S105  # no secret
KNOWN_JWT_SECRETS: Final = (
    CLI_JWT_SECRET,
    "your-super-secret-jwt-token-with-at-least-32-characters-long",  # Supabase's docker/
    "reallyreallyreallyreallyverysafe",  # PostgREST's tutorial
    "a-string-secret-at-least-256-bits-long",  # jwt.io
)
"""Secrets that are published: everyone can sign with them."""

# SHA-256 of the CLI's default keys of the newer kind, sb_publishable_… and sb_secret_….
_CLI_KEYS: Final = frozenset(
    {
        "9705102db0d5f99ee08daa19a73e510d9877a2a9add9369da247cbbe6c2a0140",
        "c85debb55f2f204d868cc1552c42faa143b4c675f61363ab040dd50b5b5304cd",
    }
)
_DEMO: Final = "supabase-demo"  # the issuer of the legacy keys that Supabase publishes
_PREFIXES: Final[dict[Role, str]] = {"anon": "sb_publishable_", "service_role": "sb_secret_"}
_MISPLACED: Final[dict[Role, str]] = {
    "anon": "is no public key: with a secret one, anonymous callers would be past row security",
    "service_role": "is no secret key: with a public one, row security would refuse our jobs",
}
_ANY_CLAIMS: Final[Options] = {"verify_exp": False, "verify_aud": False, "verify_iat": False}
# A random secret of 32 characters has about 30 different steps; words that repeat have few.
_FEWEST_STEPS: Final = 20


def key_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with secrets and keys: one for each setting."""
    secret = _value(settings.jwt_secret)
    cursors, previous = map(_value, (settings.cursor_secret, settings.cursor_secret_previous))
    public = settings.supabase_key.get_secret_value()
    service = settings.supabase_service_key.get_secret_value()
    faults = {
        "JWT_SECRET": secret and _fault_of_secret(secret),
        "SUPABASE_KEY": _fault_of_key(public, "anon", secret),
        "SUPABASE_SERVICE_KEY": _fault_of_key(service, "service_role", secret),
        "CURSOR_SECRET": cursors and _fault_of_secret(cursors),
        "CURSOR_SECRET_PREVIOUS": previous and _fault_of_secret(previous),
    }
    if service == public and not faults["SUPABASE_KEY"]:
        faults["SUPABASE_SERVICE_KEY"] = "is the same as SUPABASE_KEY: everyone may know that"
    for name, reason in faults.items():
        if reason:
            yield Finding("error", name, reason)


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Yield the keys that are in each other's place, or of another project than JWT_SECRET."""
    secret = _value(settings.jwt_secret)
    roles: tuple[tuple[str, str, Role], ...] = (
        ("SUPABASE_KEY", settings.supabase_key.get_secret_value(), "anon"),
        ("SUPABASE_SERVICE_KEY", settings.supabase_service_key.get_secret_value(), "service_role"),
    )
    for name, key, role in roles:
        if reason := _contradiction(key, role, secret):
            yield Finding("error", name, reason)


def is_guessable(secret: str) -> bool:
    """Tell whether a secret is short, or repeats a letter, a word or a row of the keyboard."""
    codes = [ord(character) for character in secret]
    steps = [after - before for before, after in pairwise(codes)]
    different = len(set(pairwise(steps)))
    return len(secret.encode()) < SECRET_MIN_BYTES or different < _FEWEST_STEPS


def _value(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _fault_of_secret(secret: str) -> str | None:
    if secret in KNOWN_JWT_SECRETS:
        return "is published, and everyone can sign with it: use your own"
    if is_guessable(secret):
        return "repeats itself and can be guessed: take a random one (openssl rand -base64 48)"
    return None


def _fault_of_key(key: str, role: Role, secret: str | None) -> str | None:
    if _is_known(key):
        return "is a default key of Supabase, which everyone knows: use your project's"
    return _contradiction(key, role, secret) or _fault_of_opaque(key, role)


def _contradiction(key: str, role: Role, secret: str | None) -> str | None:
    if key.startswith("sb_"):
        return None if key.startswith(_PREFIXES[role]) else _MISPLACED[role]
    try:
        claims = _claims(key)
    except jwt.InvalidTokenError:
        return None
    return _fault_of_token(key, claims, role, secret)


def _fault_of_opaque(key: str, role: Role) -> str | None:
    if role == "service_role" and is_guessable(key):
        return f"has less than {SECRET_MIN_BYTES} bytes or repeats itself, and can be guessed"
    return None


def _fault_of_token(key: str, claims: dict[str, Any], role: Role, secret: str | None) -> str | None:
    if claims.get("role") != role:
        return _MISPLACED[role]
    by_secret = jwt.get_unverified_header(key).get("alg") == "HS256"
    if secret is not None and by_secret and not _is_signed(key, secret):
        return "is not signed with JWT_SECRET: they are not of the same project"
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires < time.time():
        return "has expired: take a new one from your project"
    return None


def _is_known(key: str) -> bool:
    if hashlib.sha256(key.encode()).hexdigest() in _CLI_KEYS:
        return True
    try:
        return _claims(key).get("iss") == _DEMO or any(
            _is_signed(key, secret) for secret in KNOWN_JWT_SECRETS
        )
    except jwt.InvalidTokenError:
        return False


def _claims(key: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(key, options={"verify_signature": False})
    return claims


def _is_signed(key: str, secret: str) -> bool:
    try:
        jwt.decode(key, secret, algorithms=["HS256"], options=_ANY_CLAIMS)
    except jwt.InvalidTokenError:
        return False
    return True
