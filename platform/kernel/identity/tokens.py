"""Verification of access tokens, without a network call."""

import logging
import time
from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

import jwt

from kernel.core.caller import Caller
from kernel.errors import Unauthenticated, Unavailable
from kernel.identity.jwks import Jwks

log = logging.getLogger(__name__)

LEEWAY_SECONDS: Final = 10
DAY_SECONDS: Final = 24 * 3600
REMEMBERED: Final = 10_000
_MAX_LENGTH: Final = 8192
_ASYMMETRIC: Final = frozenset({"ES256", "RS256"})
# Headers with which a token brings its own key, or requires unknown extensions (RFC 7515).
_REFUSED_HEADERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
_NO_PROOF: Final = frozenset({None, "anonymous", "token_refresh"})


class InvalidToken(Unauthenticated):
    """The token is malformed, forged, expired, or meant for another audience."""

    code = "INVALID_TOKEN"
    message = "This access token is invalid or has expired: log in or refresh it."


class TokenVerifier:
    """Verifies the access tokens of Supabase Auth.

    HS256 uses the project's secret, ES256 and RS256 its published keys. The token's header chooses
    the family, and a key of one family is never tried for another. Audience, expiry, subject and
    session are required, and the issuer if one is configured. A token that lives longer than
    `longest_seconds` is refused, because the end of its session would be forgotten before it
    expires. Verified tokens are cached, and their expiry is checked at each use.
    """

    def __init__(
        self,
        *,
        secret: str | None,
        jwks: Jwks,
        audience: str,
        issuer: str | None = None,
        longest_seconds: int = DAY_SECONDS,
    ) -> None:
        self._secret, self._jwks, self._longest = secret, jwks, longest_seconds
        self._audience, self._issuer = audience, issuer
        self._known: OrderedDict[str, Caller] = OrderedDict()
        self._known_version = jwks.version

    def remembered(self, token: str) -> Caller | None:
        """Return the caller of a token that was verified before and has not expired, else None."""
        if self._known_version != self._jwks.version:
            self._known.clear()
            self._known_version = self._jwks.version
        caller = self._known.get(token)
        return caller if caller is not None and self._counts(caller) else None

    async def verify(self, token: str, *, remember: bool = True) -> Caller:
        """Return the token's caller.

        Do not remember a token that its owner has not used: kernel.identity.seen_tokens notes the
        first use. Raises InvalidToken, or Unavailable while there are no published keys.
        """
        if len(token) > _MAX_LENGTH or not token.isascii():
            raise InvalidToken
        caller = self.remembered(token)
        if caller is None:
            claims = await self._claims(token)
            self._refuse_long(claims)
            caller = _caller(claims, token)
            if not self._counts(caller):
                raise InvalidToken
            if remember:
                self._known[token] = caller
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return caller

    async def issued(self, token: str, *, remember: bool = True) -> Caller:
        """Return the caller of a token that Auth has issued just now.

        Raises Unavailable if it is refused: the fault is the configuration's, not the caller's.
        """
        try:
            return await self.verify(token, remember=remember)
        except InvalidToken as error:
            cause = type(error.__context__ or error).__name__
            log.error(  # noqa: TRY400 - the line says it all
                "Supabase Auth issues access tokens that the settings refuse: check JWT_SECRET, "
                "JWT_ISSUER and JWT_AUDIENCE (./app config check)",
                extra={"reason": cause},
            )
            raise Unavailable from error

    def _refuse_long(self, claims: dict[str, Any]) -> None:
        issued = claims.get("iat")
        since = issued if isinstance(issued, int | float) else time.time()
        if claims["exp"] - since > self._longest:
            log.warning("An access token lives longer than MAX_TOKEN_SECONDS: it is refused")
            raise InvalidToken

    def _counts(self, caller: Caller) -> bool:
        return time.time() < caller.expires_at + LEEWAY_SECONDS

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if not _REFUSED_HEADERS.isdisjoint(header):
                raise InvalidToken
            algorithm = str(header.get("alg"))
            key = await self._key(algorithm, header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise InvalidToken from None
        return claims

    async def _key(self, algorithm: str, kid: object) -> Any:
        if algorithm == "HS256" and self._secret is not None:
            return self._secret
        if algorithm in _ASYMMETRIC and isinstance(kid, str):
            key = await self._jwks.key(kid)
            if key is not None and key.algorithm_name == algorithm:
                return key
        raise InvalidToken


def _caller(claims: dict[str, Any], token: str) -> Caller:
    metadata = claims.get("app_metadata")
    role = metadata.get("role") if isinstance(metadata, dict) else None
    if claims.get("role") != "authenticated":  # anon and service_role are keys, not people
        raise InvalidToken
    try:
        return Caller(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["session_id"]),
            role=role if isinstance(role, str) else None,
            expires_at=int(claims["exp"]),
            logged_in_at=_logged_in_at(claims.get("amr")),
            token=token,
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidToken from None


def _logged_in_at(methods: object) -> int:
    """Return the newest timestamp of the claim `amr`, or 0 without one that proves a person.

    Supabase Auth writes [{"method": "password", "timestamp": 1795426568}]. Its methods `anonymous`
    and `token_refresh` prove nothing.
    """
    entries = methods if isinstance(methods, list) else []
    times = [
        entry["timestamp"]
        for entry in entries
        if isinstance(entry, dict)
        and entry.get("method") not in _NO_PROOF
        and type(entry.get("timestamp")) is int
    ]
    return max(times, default=0)
