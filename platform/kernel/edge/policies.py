"""The policies of each slice: declared limits, with the rates from the settings."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kernel.config.rates import Rate
from kernel.config.settings import Settings, SettingsError
from kernel.feature import Feature
from kernel.limits.policy import Policy, PolicySet

DEFAULT: Final = "default"
# An IPv6 /48 has 65,536 subjects: together they get this multiple of one subject's quota.
NETWORK_FACTOR: Final = 10


class UserPolicies(NamedTuple):
    """A slice's limit by user, and all its policies together, by those that were counted before."""

    own: PolicySet
    together: Mapping[PolicySet, PolicySet]


class PolicyTable:
    """The policies of each slice: the default that all slices share, and its own limit.

    A slice's own limit counts an IPv6 client twice: by its /64, and by its /48 with ten times the
    quota. `by_user` has the limits by verified user, which the Edge counts last. `by_account` has
    the limits that slices count themselves, with AccountLimit. RATE_LIMIT_<NAME> changes a declared
    limit; if NAME is a slice without a limit, it adds one. Raises SettingsError for any other name.
    """

    def __init__(self, features: Mapping[str, Feature], settings: Settings) -> None:
        self._shared = Policy(DEFAULT, settings.rate_limit_default)
        self._shared_alone = Policy(DEFAULT, settings.rate_limit_fallback)
        self._default = self._counted([])
        self._by_address: dict[str, PolicySet | None] = {}
        self._by_network: dict[str, PolicySet] = {}
        self.by_account: dict[str, PolicySet] = {}
        self.by_user: dict[str, UserPolicies] = {}
        changed = dict(settings.rate_limits)
        there_are: list[str] = [DEFAULT, "fallback", "reauthentication"]
        for name, feature in features.items():
            if feature.router is not None and feature.limited:
                declared = {limit.name(name): limit.rate for limit in feature.limits}
                there_are += dict.fromkeys([name, *declared])
                own = {one: changed.pop(one.lower(), rate) for one, rate in declared.items()}
                if name.lower() in changed:
                    own[name] = changed.pop(name.lower())
                self._add(name, [Policy(one, rate) for one, rate in own.items()])
            else:
                self._by_address[name] = None
        if changed:
            raise SettingsError(_unknown(sorted(changed), there_are))

    def of(self, feature: str | None, subject: str = "") -> PolicySet | None:
        """Return the policies of a call of this slice, or of no slice; None if nothing limits it.

        `subject` is the client's address, as it is counted.
        """
        if feature is None:
            return self._default
        if ":" in subject and feature in self._by_network:
            return self._by_network[feature]
        return self._by_address[feature]

    def _add(self, feature: str, policies: Sequence[Policy]) -> None:
        own = [policy for policy in policies if policy.name == feature]
        self._by_address[feature] = self._counted(own) if own else self._default
        if own:
            wide = [_wide(policy) for policy in own]
            self._by_network[feature] = self._counted([*own, *wide])
        accounts = [policy for policy in policies if policy.name == f"{feature}_account"]
        if accounts:
            self.by_account[feature] = PolicySet(accounts)
        if users := [policy for policy in policies if policy.name == f"{feature}_user"]:
            # Also for what counts while Redis is away, and for IPv6.
            counted = [self.of(feature), self._by_network.get(feature)]
            sets = [one for found in counted if found is not None for one in (found, found.alone)]
            self.by_user[feature] = UserPolicies(
                PolicySet(users), {one: PolicySet([*one.policies, *users]) for one in sets}
            )

    def _counted(self, own: Sequence[Policy]) -> PolicySet:
        return PolicySet([self._shared, *own], PolicySet([self._shared_alone, *own]))


def _wide(policy: Policy) -> Policy:
    rate = Rate(policy.rate.quota * NETWORK_FACTOR, policy.rate.seconds)
    return Policy(f"{policy.name}_network", rate, wide=True)


def _unknown(names: Sequence[str], there_are: Sequence[str]) -> str:
    wrong = ", ".join(f"RATE_LIMIT_{name.upper()}" for name in names)
    right = ", ".join(f"RATE_LIMIT_{name.upper()}" for name in there_are)
    return f"There is no such limit: {wrong}. There are: {right}."
