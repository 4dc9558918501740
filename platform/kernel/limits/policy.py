"""Policies, and where a caller stands with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import ip_network
from math import ceil
from typing import Final, NamedTuple

from kernel.config.rates import Rate

_NETWORK_BITS: Final = 48  # what a site has of IPv6 (RFC 6177): 65,536 networks of subscribers


@lru_cache(10_000)
def network_of(subject: str) -> str:
    """Return the /48 of an IPv6 subject (a /64); any other subject is its own network."""
    if not subject.endswith("/64"):
        return subject
    return str(ip_network(subject).supernet(new_prefix=_NETWORK_BITS))


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate with the name by which clients, settings and keys know it.

    A *wide* one counts all subjects of an IPv6 network together.
    """

    name: str
    rate: Rate
    wide: bool = False

    def counted(self, subject: str) -> str:
        """Return what a request of this subject counts to."""
        return network_of(subject) if self.wide else subject


class PolicySet:
    """Policies that one request counts to, all of them or none.

    `alone` are those that a process keeps by itself while Redis is away.
    """

    def __init__(self, policies: Iterable[Policy], alone: "PolicySet | None" = None) -> None:
        self.policies = tuple(policies)
        self.alone = alone or self

    @cached_property
    def field(self) -> str:
        """The value of the field RateLimit-Policy: `"default";q=100;w=60, "login";q=10;w=60`.

        draft-ietf-httpapi-ratelimit-headers, 3; a list of strings with parameters (RFC 9651, 3.1).
        """
        return ", ".join(
            f'"{policy.name}";q={policy.rate.quota};w={ceil(policy.rate.seconds)}'
            for policy in self.policies
        )

    @cached_property
    def raw_field(self) -> bytes:
        """The same as it goes out."""
        return self.field.encode()


class Standing(NamedTuple):
    """How much of a policy is left, and in how many microseconds there will be more."""

    policy: Policy
    remaining: int
    microseconds: int

    @property
    def seconds(self) -> int:
        """The time until there is more, in whole seconds: after it there is."""
        return ceil(self.microseconds / 1_000_000)


class Decision(NamedTuple):
    """Whether a request is admitted, and where its subject stands with each policy.

    An admitted request is recorded under `at`, in microseconds of the deciding clock: that of Redis
    or, where `alone`, that of this process.
    """

    subject: str
    policies: PolicySet
    alone: bool
    admitted: bool
    at: int
    standings: tuple[Standing, ...]

    @property
    def scarcest(self) -> Standing:
        """The policy with the least left; of several the one that takes longest."""
        if len(self.standings) == 1:
            return self.standings[0]
        return min(self.standings, key=lambda one: (one.remaining, -one.microseconds))

    @property
    def field(self) -> str:
        """The value of the field RateLimit: `"login";r=4;t=42`.

        draft-ietf-httpapi-ratelimit-headers, 4: within `t` seconds no more than `r` are possible.
        """
        scarcest = self.scarcest
        return f'"{scarcest.policy.name}";r={scarcest.remaining};t={scarcest.seconds}'

    @property
    def retry_after(self) -> int:
        """Whole seconds after which a refused request would be admitted: 1 to the window."""
        # The scarcest has nothing left and takes longest: those with more left refuse nothing.
        scarcest = self.scarcest
        return max(1, min(scarcest.seconds, ceil(scarcest.policy.rate.seconds)))
