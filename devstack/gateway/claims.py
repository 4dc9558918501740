"""The caller's credentials: the project's key, and the token of a user."""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from devstack.gateway.config import GatewayConfig

# PostgREST's own tolerance for clock differences, in seconds.
_LEEWAY: Final = 30
_KEY_ROLES: Final = frozenset({"anon", "service_role"})
_PARTS: Final = 3
# Errors of PyJWT for a token, and of Python's parsers for absurd JSON inside one.
_UNREADABLE: Final = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class KeyRefused(Exception):
    """The request has no API key, or an unknown one; the response is 401 with `body`."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.body = {"message": message} | ({"hint": hint} if hint else {})


class TokenRefused(Exception):
    """The bearer token is unreadable, forged, or not valid at this time.

    `code` is PostgREST's: PGRST301 for a failed verification, PGRST303 for refused claims.
    """

    def __init__(self, code: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


def check_api_key(
    config: GatewayConfig, headers: Mapping[str, str], query: Mapping[str, str]
) -> str:
    """Return the role of the request's `apikey` (header or query), else raise KeyRefused.

    The configured keys and every JWT of the secret with role anon or service_role are valid.
    """
    key = headers.get("apikey") or query.get("apikey")
    if not key:
        raise KeyRefused(
            "No API key found in request", "No `apikey` request header or url param was found."
        )
    role = _key_role(config, key)
    if role is None:
        raise KeyRefused("Invalid API key")
    return role


def _key_role(config: GatewayConfig, key: str) -> str | None:
    """Return the role of an API key, None for a key of another project."""
    for known, role in ((config.anon_key, "anon"), (config.service_key, "service_role")):
        if hmac.compare_digest(key.encode(errors="replace"), known.encode()):
            return role
    try:
        claimed = jwt.decode(key, config.jwt_secret, algorithms=["HS256"]).get("role")
    except _UNREADABLE:
        return None
    return claimed if isinstance(claimed, str) and claimed in _KEY_ROLES else None


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token after `Bearer` in Authorization; None without it."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def verify_token(config: GatewayConfig, token: str) -> dict[str, Any]:
    """Return the claims of a token of this project; raises TokenRefused.

    HS256 with the secret, ES256 with the public half of `signing_key` if there is one: the token's
    header chooses, and a key of one algorithm is never tried for the other.
    """
    if not token:
        raise TokenRefused("PGRST301", "Empty JWT is sent in Authorization header")
    parts = token.count(".") + 1
    if parts != _PARTS:
        raise TokenRefused("PGRST301", f"Expected {_PARTS} parts in JWT; got {parts}")
    try:
        algorithm, key = _key(config, token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            leeway=_LEEWAY,
            options={"verify_aud": False, "verify_sub": False, "verify_jti": False},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefused("PGRST303", "JWT expired") from None
    except jwt.ImmatureSignatureError as error:
        issued = "iat" in str(error)
        message = "JWT issued at future" if issued else "JWT not yet valid"
        raise TokenRefused("PGRST303", message) from None
    except _UNREADABLE:
        raise TokenRefused(
            "PGRST301",
            "No suitable key or wrong key type",
            "None of the keys was able to decode the JWT",
        ) from None
    return claims


def caller_claims(config: GatewayConfig, token: str) -> dict[str, Any]:
    """Return the claims of a bearer token, which may be one of the keys; `role` is always set.

    Raises TokenRefused.
    """
    for key, role in ((config.anon_key, "anon"), (config.service_key, "service_role")):
        if token == key:
            return {"role": role}
    claims = verify_token(config, token)
    role = claims.get("role", "anon")
    return claims | {"role": role if isinstance(role, str) else json.dumps(role)}


def _key(config: GatewayConfig, token: str) -> tuple[str, str | EllipticCurvePublicKey]:
    algorithm = jwt.get_unverified_header(token).get("alg")
    if algorithm == "HS256":
        return "HS256", config.jwt_secret
    if algorithm == "ES256" and config.signing_key is not None:
        public = load_pem_private_key(config.signing_key.encode(), None).public_key()
        if isinstance(public, EllipticCurvePublicKey):
            return "ES256", public
    raise jwt.InvalidAlgorithmError
