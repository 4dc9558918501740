"""Whether keys, secret and issuer of the settings are those of the Supabase project."""

import asyncio
import contextlib
import logging
import time
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt

from kernel.config.finding import Finding
from kernel.config.keys import contradictions
from kernel.config.settings import Settings
from kernel.supabase.answers import json_object
from kernel.supabase.http import AROUND, SupabaseHttp, SupabaseUnavailable, bearer

log = logging.getLogger(__name__)

_FRESH_SECONDS: Final = 1.0
_LOG_SECONDS: Final = 60.0
_TOKEN_SECONDS: Final = 60
_REFUSED: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_OF_KEY: Final = "is refused by the project: it is the key of another one, or was revoked"
_OF_SERVICE_KEY: Final = (
    "is refused by the database: it is no secret key of this project; take the one that is named "
    "secret or service_role"
)


class Agreement:
    """Compares the settings with the project, without a login.

    A process whose settings are another project's answers every login with an error, while each
    service works: so it is not ready, and the log says why.
    """

    def __init__(self, http: SupabaseHttp, settings: Settings) -> None:
        self._http, self._settings = http, settings
        self._reached = False
        self._asked = self._logged = -_LOG_SECONDS
        self._lock = asyncio.Lock()

    async def reached(self) -> bool:
        """Return whether settings and project agree; log what does not, once a minute.

        It asks once a second at most, until they agree for the first time: callers of readiness
        need no token and meet no limit.
        """
        async with self._lock:
            if not self._reached and time.monotonic() - self._asked >= _FRESH_SECONDS:
                with contextlib.suppress(SupabaseUnavailable):
                    faults = await self.faults()
                    self._log(faults)
                    self._reached = not faults
                self._asked = time.monotonic()
        return self._reached

    async def faults(self) -> list[Finding]:
        """Return what contradicts the project. Raises SupabaseUnavailable if it does not answer."""
        found = list(contradictions(self._settings))
        if not found:
            found += await self._of_keys()
        if not found:
            found += await self._of_tokens()
        return found

    async def _of_keys(self) -> list[Finding]:
        http = self._http
        said = await self._get("/auth/v1/settings", {"apikey": http.key})
        if said.status_code in _REFUSED:
            return [Finding("error", "SUPABASE_KEY", _OF_KEY)]
        said = await self._get("/rest/v1/rpc/service_alive", bearer(http.service_key))
        if said.status_code in _REFUSED:
            return [Finding("error", "SUPABASE_SERVICE_KEY", _OF_SERVICE_KEY)]
        if said.status_code == httpx.codes.NOT_FOUND:
            reason = "has a database without this version's migrations: run ./app migrate"
            return [Finding("error", "SUPABASE_URL", reason)]
        return []

    async def _of_tokens(self) -> list[Finding]:
        found = []
        published = _json(await self._get("/auth/v1/.well-known/jwks.json")).get("keys")
        secret = self._settings.jwt_secret
        if not published and secret is None:
            reason = "is missing, and the project has no signing keys: no token could be verified"
            found.append(Finding("error", "JWT_SECRET", reason))
        elif not published and not await self._takes(self._token()):
            reason = "is not the secret that the project signs access tokens with"
            found.append(Finding("error", "JWT_SECRET", reason))
        wanted = self._settings.jwt_issuer
        if wanted is not None:
            answer = await self._get("/auth/v1/.well-known/openid-configuration")
            issuer = _json(answer).get("issuer", wanted)  # older servers do not publish it
            if issuer != wanted:
                shown = f"which is {issuer}" if issuer else "which have none"
                reason = f"is not the issuer of the project's tokens, {shown[:200]}"
                found.append(Finding("error", "JWT_ISSUER", reason))
        return found

    async def _takes(self, token: str) -> bool:
        """Return whether Auth accepts the signature: its user does not exist, and Auth says so."""
        headers = {"apikey": self._http.key, "Authorization": f"Bearer {token}"}
        said = _json(await self._get("/auth/v1/user", headers))
        return "bad_jwt" not in {said.get("error_code"), said.get("code")}

    def _token(self) -> str:
        """Return a token of nobody."""
        secret = self._settings.jwt_secret
        now = int(time.time())
        claims = {
            "sub": str(uuid4()),
            "session_id": str(uuid4()),
            "role": "authenticated",
            "aud": self._settings.jwt_audience,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
        }
        return jwt.encode(claims, secret.get_secret_value() if secret else "", algorithm="HS256")

    async def _get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        headers = headers or {"apikey": self._http.key}
        return await self._http.get(f"{self._http.base}{path}", headers=headers, extensions=AROUND)

    def _log(self, faults: list[Finding]) -> None:
        if faults and time.monotonic() - self._logged >= _LOG_SECONDS:
            self._logged = time.monotonic()
            for fault in faults:
                log.error(
                    "A setting does not fit the Supabase project: %s %s",
                    *(fault.setting, fault.reason),
                )


def _json(answer: httpx.Response) -> dict[str, Any]:
    said = answer.is_success or answer.status_code in _REFUSED
    return json_object(answer) if said else {}
