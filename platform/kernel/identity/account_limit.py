"""Limits of what is tried at one account, from however many addresses."""

import hashlib
import hmac

from kernel.errors import TooManyRequests
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Decision, PolicySet

Reservation = Decision


class AccountLimiter(Limiter):
    """The limiter of accounts: it counts in the broker's server, which evicts nothing.

    In the cache ordinary reads could push a counter out of memory, and guessing would go on.
    """


class AccountLimit:
    """The limit that a slice declares by `Limit("20/15 minutes", per="account")`.

    It counts by e-mail address, whether there is an account of that address or not, so that its
    answers tell nobody who has one. What it keeps is an HMAC-SHA256 of the address (RFC 2104):
    without the key nobody can turn it back, or try addresses on it.
    """

    def __init__(self, limiter: Limiter, policies: PolicySet, key: bytes) -> None:
        self._limiter, self._policies, self._key = limiter, policies, key

    async def reserve(self, email: str) -> Reservation:
        """Count an attempt before it is made: of parallel ones no more than the quota get through.

        Raises TooManyRequests, with the seconds until the next attempt.
        """
        decision = await self._take(email)
        if not decision.admitted:
            raise TooManyRequests(retry_after=decision.retry_after)
        return decision

    async def refund(self, reservation: Reservation) -> None:
        """Take back an attempt that is not to count: one that succeeded, or was never made."""
        await self._limiter.give_back(reservation)

    async def admits(self, email: str) -> bool:
        """Count one and return whether it is within the limit, for slices that must not tell."""
        return (await self._take(email)).admitted

    async def _take(self, email: str) -> Decision:
        digest = hmac.digest(self._key, email.lower().encode(), hashlib.sha256).hex()
        return await self._limiter.take(digest, self._policies)


def account_key(secret: str) -> bytes:
    """Return the key of account limits, derived from a secret that all processes have.

    Bytes that are made of it for another purpose would need another label.
    """
    return hmac.digest(secret.encode(), b"account limits", hashlib.sha256)
