"""The sliding window of one process, used while Redis is unavailable."""

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from kernel.limits.policy import SPANS, Decision, Policy, PolicySet, Standing

LOGS: Final = 10_000


@dataclass(slots=True)
class _Span:
    """The requests that were admitted from `first` to `last`."""

    first: int
    last: int
    count: int


class _Log:
    """The spans of one subject and policy, oldest first.

    An exact policy has a span for each moment, so that each request leaves at its own time. One
    with a large quota has spans of a hundredth of its window.
    """

    def __init__(self) -> None:
        self.total = 0
        self._spans: deque[_Span] = deque()

    def forget(self, before: int) -> None:
        """Remove what was admitted then or earlier."""
        while self._spans and self._spans[0].last <= before:
            self.total -= self._spans.popleft().count

    def add(self, now: int, cost: int, length: float) -> None:
        """Count `cost` requests; the newest span takes them if it began less than `length` ago."""
        self.total += cost
        newest = self._spans[-1] if self._spans else None
        if newest is not None and (now == newest.first or now - newest.first < length):
            newest.last = now
            newest.count += cost
        else:
            self._spans.append(_Span(now, now, cost))

    def remove(self, at: int) -> None:
        """Uncount a request of this time, if it is still there."""
        for span in reversed(self._spans):
            if span.first <= at <= span.last and span.count:
                span.count -= 1
                self.total -= 1
                return

    def leaves(self, number: int) -> int | None:
        """Return the time of the span after whose end this many have left; None if all have."""
        for span in self._spans:
            number -= span.count
            if number <= 0 and span.count:
                return span.last
        return None


class LocalLogs:
    """The same rules as in Redis, for this process alone.

    Memory is bounded: beyond 10,000 logs, the least recently used is discarded, and no log has more
    spans than LARGEST_LOG.
    """

    def __init__(self, *, logs: int = LOGS) -> None:
        self._most = logs
        self._logs: OrderedDict[tuple[str, str], _Log] = OrderedDict()

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
        admitted = all(log.total + cost <= policy.rate.quota for policy, log, cost in pairs)
        if admitted:
            for policy, log, cost in pairs:
                log.add(now, cost, 0 if policy.exact else policy.rate.microseconds / SPANS)
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
            if log is not None:
                log.remove(decision.at)

    def _log(self, subject: str, policy: Policy, now: int) -> _Log:
        log = self._logs.get((policy.counted(subject), policy.name))
        if log is None:
            return _Log()
        log.forget(now - policy.rate.microseconds)
        return log


def _standing(policy: Policy, log: _Log, now: int, cost: int) -> Standing:
    remaining = policy.rate.quota - log.total
    last = log.leaves(max(1, cost - remaining))  # these make room when they leave
    wait = last + policy.rate.microseconds - now if last is not None else 0
    return Standing(policy, remaining, wait)
