"""The public keys of Supabase Auth: fetched when needed, cached, and fetched rarely."""

import asyncio
import logging
import time
from typing import Final

import httpx
import jwt

from kernel.errors import Unavailable

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 600
STALE_SECONDS: Final = 24 * 3600
REFETCH_SECONDS: Final = 30
RETRY_SECONDS: Final = 1


class Jwks:
    """A JSON Web Key Set (RFC 7517) at a URL.

    Keys are fresh for 10 minutes and, while the server is unavailable, valid for 24 hours. An
    unknown key id causes at most one fetch in 30 seconds, so that forged tokens cannot flood the
    server. Without any keys, when no token can be verified, it fetches once a second. `version`
    changes whenever the keys do.
    """

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.version = 0
        self._http, self._url = http, url
        self._document: object = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """Return the key, or None if the set does not have it.

        Raises Unavailable if there is no usable set.
        """
        if self._age() > FRESH_SECONDS or kid not in self._keys:
            async with self._lock:
                if self._age() > FRESH_SECONDS or kid not in self._keys:
                    await self._refetch()
        if self._age() > STALE_SECONDS:
            raise Unavailable
        return self._keys.get(kid)

    def _age(self) -> float:
        return float("inf") if self._fetched is None else time.monotonic() - self._fetched

    async def _refetch(self) -> None:
        now = time.monotonic()
        pause = RETRY_SECONDS if self._age() > STALE_SECONDS else REFETCH_SECONDS
        if self._tried is not None and now - self._tried < pause:
            return
        self._tried = now
        try:
            answer = await self._http.get(self._url)
            answer.raise_for_status()
            document = answer.json()
            keys = _usable(document)
        except (Unavailable, httpx.HTTPError, ValueError, TypeError, KeyError) as error:
            log.warning("The signing keys cannot be fetched", extra={"reason": repr(error)})
            return
        if document != self._document:
            self.version += 1
        self._document, self._keys, self._fetched = document, keys, now


def _usable(document: dict[str, list[dict[str, str]]]) -> dict[str, jwt.PyJWK]:
    # Only public keys: with a symmetric key in a public set, anyone could sign.
    return {
        item["kid"]: jwt.PyJWK.from_dict(item)
        for item in document["keys"]
        if item.get("kty") in {"EC", "RSA"} and item.get("kid")
    }
