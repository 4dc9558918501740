"""The sliding-window log of one process, used while Redis is unavailable."""

import time
from collections import OrderedDict, deque
from typing import Final

from kernel.limits.policy import Decision, Policy, PolicySet, Standing

LOGS: Final = 10_000


class LocalLogs:
    """The same rules as in Redis, for this process alone.

    Memory is bounded: beyond 10,000 logs, the least recently used is discarded, and no log is
    longer than its quota.
    """

    def __init__(self, *, logs: int = LOGS) -> None:
        self._most = logs
        self._logs: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._logs)

    def take(self, subject: str, policies: PolicySet, weight: int = 1) -> Decision:
        """Count a request of the subject to all policies, or to none if one refuses.

        To the first of them it counts `weight` times.
        """
        now = time.monotonic_ns() // 1000
        logs = [self._log(subject, policy, now) for policy in policies.policies]
        costs = [min(weight, policies.policies[0].rate.quota)] + [1] * (len(logs) - 1)
        pairs = list(zip(policies.policies, logs, costs, strict=True))
        admitted = all(len(log) + cost <= policy.rate.quota for policy, log, cost in pairs)
        if admitted:
            for policy, log, cost in pairs:
                log.extend([now] * cost)
                counted = (policy.counted(subject), policy.name)
                self._logs[counted] = log
                self._logs.move_to_end(counted)
            while len(self._logs) > self._most:
                self._logs.popitem(last=False)
        return Decision(
            subject=subject,
            policies=policies,
            alone=True,
            admitted=admitted,
            at=now,
            standings=tuple(
                _standing(policy, log, now, 1 if admitted else cost) for policy, log, cost in pairs
            ),
        )

    def give_back(self, decision: Decision) -> None:
        """Uncount the request of a decision."""
        for policy in decision.policies.policies:
            log = self._logs.get((policy.counted(decision.subject), policy.name))
            if log is not None and decision.at in log:
                log.remove(decision.at)

    def _log(self, subject: str, policy: Policy, now: int) -> deque[int]:
        log = self._logs.get((policy.counted(subject), policy.name))
        if log is None:
            return deque()
        while log and log[0] <= now - policy.rate.microseconds:
            log.popleft()
        return log


def _standing(policy: Policy, log: deque[int], now: int, cost: int) -> Standing:
    remaining = policy.rate.quota - len(log)
    place = max(0, cost - remaining - 1)  # of the one that makes room when it leaves
    wait = log[place] + policy.rate.microseconds - now if log else 0
    return Standing(policy, remaining, wait)
