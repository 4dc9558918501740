"""Limits of the attempts on one account, from any number of addresses."""

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

    It counts by e-mail address, whether an account exists or not, so that its responses do not
    reveal accounts. Its key is an HMAC-SHA256 of the address (RFC 2104): without the secret it
    cannot be reversed, nor compared with guessed addresses.
    """

    def __init__(self, limiter: Limiter, policies: PolicySet, key: bytes) -> None:
        self._limiter, self._policies, self._key = limiter, policies, key

    async def reserve(self, email: str) -> Reservation:
        """Count an attempt before it is made, so that parallel attempts cannot exceed the quota.

        Raises TooManyRequests, with the seconds until the next attempt.
        """
        decision = await self._take(email)
        if not decision.admitted:
            raise TooManyRequests(retry_after=decision.retry_after)
        return decision

    async def refund(self, reservation: Reservation) -> None:
        """Uncount an attempt: one that succeeded, or was never made."""
        await self._limiter.give_back(reservation)

    async def admits(self, email: str) -> bool:
        """Count an attempt; return whether it is allowed. For slices that must not reveal it."""
        return (await self._take(email)).admitted

    async def _take(self, email: str) -> Decision:
        digest = hmac.digest(self._key, email.lower().encode(), hashlib.sha256).hex()
        return await self._limiter.take(digest, self._policies)


def account_key(secret: str) -> bytes:
    """Return the key of account limits, derived from a secret that all processes have.

    Keys for other purposes need other labels.
    """
    return hmac.digest(secret.encode(), b"account limits", hashlib.sha256)
