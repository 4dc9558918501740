"""Which policies hold for which slice: what the slices declare, as the settings change it."""

from collections.abc import Mapping, Sequence
from typing import Final

from kernel.config.settings import Settings, SettingsError
from kernel.feature import Feature
from kernel.limits.policy import Policy, PolicySet

DEFAULT: Final = "default"


class PolicyTable:
    """The policies of each slice: the bucket that all share and, in addition, its own.

    `by_account` holds those that slices count themselves, by AccountLimit.
    RATE_LIMIT_<NAME> changes a declared limit; where NAME is a slice without a limit of its own,
    it gives it one. Raises SettingsError for a name that is neither.
    """

    def __init__(self, features: Mapping[str, Feature], settings: Settings) -> None:
        self._shared = Policy(DEFAULT, settings.rate_limit_default)
        self._shared_alone = Policy(DEFAULT, settings.rate_limit_fallback)
        self._default = self._counted([])
        self._by_address: dict[str, PolicySet | None] = {}
        self.by_account: dict[str, PolicySet] = {}
        changed = dict(settings.rate_limits)
        there_are: list[str] = [DEFAULT, "fallback"]
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

    def of(self, feature: str | None) -> PolicySet | None:
        """Return what a call of this slice, or of none, counts to; None where nothing limits it."""
        return self._default if feature is None else self._by_address[feature]

    def _add(self, feature: str, policies: Sequence[Policy]) -> None:
        own = [policy for policy in policies if policy.name == feature]
        self._by_address[feature] = self._counted(own) if own else self._default
        if others := [policy for policy in policies if policy.name != feature]:
            self.by_account[feature] = PolicySet(others)

    def _counted(self, own: Sequence[Policy]) -> PolicySet:
        return PolicySet([self._shared, *own], PolicySet([self._shared_alone, *own]))


def _unknown(names: Sequence[str], there_are: Sequence[str]) -> str:
    wrong = ", ".join(f"RATE_LIMIT_{name.upper()}" for name in names)
    right = ", ".join(f"RATE_LIMIT_{name.upper()}" for name in there_are)
    return f"There is no such limit: {wrong}. There are: {right}."
