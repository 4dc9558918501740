"""Rate limit policies, and a client's standing with each."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Final, Literal, NamedTuple

from kernel.config.rates import Rate

_NETWORK_BITS: Final = 48  # an IPv6 site (RFC 6177): 65,536 subscriber networks
_SUBNET_BITS: Final = 64  # the least that an IPv6 subscriber has (RFC 6177)
_IPV4: Final = 4
LARGEST_LOG: Final = 1000
"""The largest quota whose log has an entry for each admitted request."""

SPANS: Final = 100
"""A larger quota is counted in spans of this part of its window: see spans.lua."""


def subject_of(address: str) -> str:
    """Return the subject that an address counts to: itself, of IPv6 its /64.

    An IPv6 subscriber has a whole network and may use a new address for each request. Raises
    ValueError for anything but an address.
    """
    if ip_address(address).version == _IPV4:
        return address
    return str(ip_network(f"{address}/{_SUBNET_BITS}", strict=False))


@lru_cache(10_000)
def network_of(subject: str) -> str:
    """Return the /48 of an IPv6 subject (a /64); any other subject is its own network."""
    if not subject.endswith("/64"):
        return subject
    return str(ip_network(subject).supernet(new_prefix=_NETWORK_BITS))


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate and its name in responses, settings and Redis keys.

    A *wide* policy counts all subjects of an IPv6 network together. The quota is exact up to
    LARGEST_LOG. A larger one is counted in spans of time, which takes bounded memory: no window
    holds more than the quota, but a request may count for a hundredth of the window longer.
    """

    name: str
    rate: Rate
    wide: bool = False

    @property
    def exact(self) -> bool:
        """Whether its log has an entry for each admitted request."""
        return self.rate.quota <= LARGEST_LOG

    def counted(self, subject: str) -> str:
        """Return the name under which requests of this subject are counted."""
        return network_of(subject) if self.wide else subject


class PolicySet:
    """Policies that count a request together: all of them, or none.

    `alone` are the policies of a process while Redis is unavailable.
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
        """The same, encoded."""
        return self.field.encode()


class Standing(NamedTuple):
    """The remaining quota of a policy, and the microseconds until it grows."""

    policy: Policy
    remaining: int
    microseconds: int

    @property
    def seconds(self) -> int:
        """The whole seconds until the quota grows, rounded up."""
        return ceil(self.microseconds / 1_000_000)


class Decision(NamedTuple):
    """Whether a request is admitted, and the subject's standing with each policy.

    An admitted request is recorded at `at`, in microseconds of the clock that decided: that of
    Redis or, if `alone`, that of this process.
    """

    subject: str
    policies: PolicySet
    alone: bool
    admitted: bool
    at: int
    standings: tuple[Standing, ...]

    def with_more(self, other: "Decision", policies: PolicySet) -> "Decision":
        """Return the standing with the policies of both; the other one, taken last, decides."""
        standings = self.standings + other.standings
        return other._replace(policies=policies, standings=standings)

    @property
    def scarcest(self) -> Standing:
        """The standing with the least quota left; of several, the slowest to grow."""
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
        """Whole seconds after which a refused request would be admitted: 1 up to the window."""
        # The scarcest one decides: it refuses, and of those that refuse it takes longest.
        scarcest = self.scarcest
        return max(1, min(scarcest.seconds, ceil(scarcest.policy.rate.seconds)))


Subject = Literal["address", "account", "user"]


@dataclass(frozen=True, init=False)
class Limit:
    """A rate limit of a slice: `Limit("10/minute")`, `Limit("20/15 minutes", per="account")`.

    *address*: requests from one client address. The Edge counts them first, together with the
    default limit that all slices share. *account*: requests for one e-mail address; the slice
    itself counts them with the service AccountLimit. *user*: requests of one user, from wherever;
    the Edge counts them when the token is verified, and the other limits have admitted the request.
    The limit's name comes from the slice's folder (`login`, `login_account`, `export_user`), and
    RATE_LIMIT_<NAME> changes its rate. Raises ValueError for an invalid rate.
    """

    rate: Rate
    per: Subject = "address"

    def __init__(self, rate: str | Rate, *, per: Subject = "address") -> None:
        object.__setattr__(self, "rate", Rate.parse(rate) if isinstance(rate, str) else rate)
        object.__setattr__(self, "per", per)

    def name(self, feature: str) -> str:
        """Return the limit's name in the slice with this folder."""
        return feature if self.per == "address" else f"{feature}_{self.per}"
