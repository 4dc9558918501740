"""Networks where the owner of an account has logged in: others' guesses lock nobody out there.

Redis keeps hashes only, in the broker's server, which evicts nothing: for each account at most ten
networks, each for 30 days after its last success.
"""

import hashlib
import hmac
import logging
import time
from typing import Final

from redis.exceptions import ResponseError

from kernel.limits.policy import subject_of
from kernel.redis.pipeline import Pipeline, RedisAway

log = logging.getLogger(__name__)

MOST: Final = 10
SECONDS: Final = 30 * 24 * 3600
_HASH_BYTES: Final = 16


class KnownNetworks:
    """The networks of accounts, seen from the network of one call.

    A network is an address, of IPv6 a /64. Only a right password or a mailed token makes one known:
    a caller cannot make their own network known for an account of somebody else.
    """

    def __init__(self, redis: Pipeline, key: bytes, client_address: str | None) -> None:
        self._redis, self._key = redis, key
        self._network = subject_of(client_address) if client_address is not None else None

    def account(self, email: str) -> str:
        """Return the name of an account in Redis: an HMAC-SHA256 of the address (RFC 2104).

        Without the secret it cannot be reversed, nor compared with guessed addresses.
        """
        return self._hash(email.lower()).hex()

    async def subject(self, email: str) -> str:
        """Return the name under which attempts at the account count.

        A known network has its own; all other networks share one. While Redis is unavailable no
        network is known.
        """
        account, here = self.account(email), self._here(email)
        if here is None:
            return account
        try:
            (seen,) = await self._redis.ask(("ZSCORE", _name(account), here))
        except RedisAway:
            return account
        if seen is None or isinstance(seen, ResponseError) or float(seen) < time.time() - SECONDS:
            return account
        return f"{account}:{here}"

    async def remember(self, email: str) -> None:
        """Remember the call's network for the account; an unavailable Redis breaks nothing."""
        name, here = _name(self.account(email)), self._here(email)
        if here is None:
            return
        try:
            replies = await self._redis.ask(
                ("ZADD", name, round(time.time()), here),
                ("ZREMRANGEBYRANK", name, 0, -MOST - 1),
                ("EXPIRE", name, SECONDS),
            )
        except RedisAway as error:
            replies = [error]
        if refused := [str(one) for one in replies if isinstance(one, Exception)]:
            log.warning("A network was not remembered", extra={"reason": refused[0]})

    def _here(self, email: str) -> str | None:
        """Return the hash of account and network: no two accounts have the same for a network."""
        if self._network is None:
            return None
        return self._hash(f"{email.lower()}\n{self._network}")[:_HASH_BYTES].hex()

    def _hash(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


def _name(account: str) -> str:
    return f"known:{{{account}}}"
