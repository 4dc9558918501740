"""Limits of the attempts on one account, from any number of addresses."""

from typing import NamedTuple

from kernel.errors import TooManyRequests
from kernel.identity.known_networks import KnownNetworks
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Decision, PolicySet


class AccountLimiter(Limiter):
    """The limiter of accounts: it counts in the broker's server, which evicts nothing.

    In the cache ordinary reads could push a counter out of memory, and guessing would go on.
    """


class Reservation(NamedTuple):
    """A counted attempt at the account with this address."""

    email: str
    decision: Decision


class AccountLimit:
    """The limit that a slice declares by `Limit("20/15 minutes", per="account")`.

    It counts by e-mail address, whether an account exists or not, so that its responses do not
    reveal accounts. All networks together have one quota, except those that the owner has used
    before: each of them has a quota of its own, so that strangers cannot lock the owner out there.
    """

    def __init__(self, limiter: Limiter, policies: PolicySet, known: KnownNetworks) -> None:
        self._limiter, self._policies, self._known = limiter, policies, known

    async def reserve(self, email: str) -> Reservation:
        """Count an attempt before it is made, so that parallel attempts cannot exceed the quota.

        Raises TooManyRequests, with the seconds until the next attempt.
        """
        decision = await self._take(email)
        if not decision.admitted:
            raise TooManyRequests(retry_after=decision.retry_after)
        return Reservation(email, decision)

    async def refund(self, reservation: Reservation) -> None:
        """Uncount an attempt that was never made."""
        await self._limiter.give_back(reservation.decision)

    async def succeed(self, reservation: Reservation) -> None:
        """Uncount an attempt that succeeded: from now on the owner uses this network."""
        await self.refund(reservation)
        await self._known.remember(reservation.email)

    async def admits(self, email: str) -> bool:
        """Count an attempt; return whether it is allowed. For slices that must not reveal it."""
        return (await self._take(email)).admitted

    async def _take(self, email: str) -> Decision:
        return await self._limiter.take(await self._known.subject(email), self._policies)
