"""Request metrics of an application: in memory or, through a shared folder, of all workers."""

import os
from collections.abc import Callable, Iterable, Sequence
from http import HTTPMethod
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from kernel.core.metrics import SHARED_FOLDER

CacheResult = Literal["hit", "miss", "stale", "bypass"]

_NO_SLICE: Final = "none"
_OTHER: Final = "OTHER"
_METHODS: Final = frozenset(method.value for method in HTTPMethod)
# Hits take less than a millisecond; goals and alerts use 0.1, 0.2, 0.5 and 1.
_BUCKETS: Final = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip

_Count = Callable[[float], None]
_Observe = Callable[[float], None]


class Metrics:
    """The metrics of one application, in a registry of its own.

    The number of series is bounded for any requests: slices are those given here or `none`, methods
    those of HTTP or OTHER. No label holds an id. A series appears with its first count.
    """

    def __init__(self, slices: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._slices = frozenset(slices)
        # Metrics of every request are cached by plain tuples: labels() costs 2 µs a call.
        self._requests: dict[tuple[str | None, str, int], tuple[_Count, _Observe]] = {}
        self._cache_reads: dict[tuple[str | None, CacheResult], _Count] = {}
        self._limited: dict[tuple[str, bool], _Count] = {}
        registry = None if SHARED_FOLDER in os.environ else self.registry
        self._requests_total = Counter(
            "http_requests_total",
            "Requests answered; status 0 means that no response started.",
            ("slice", "method", "status"),
            registry=registry,
        )
        self._request_duration = Histogram(
            "http_request_duration_seconds",
            "Time from a request's arrival to the end of its response.",
            ("slice",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._cache_reads_total = Counter(
            "cache_reads_total",
            "Cached reads: hit, miss, stale, or bypass if the cache was not used.",
            ("slice", "result"),
            registry=registry,
        )
        self._limiter_decisions_total = Counter(
            "limiter_decisions_total",
            "Requests counted by limits, once each: under the policy with the least quota left.",
            ("policy", "result"),
            registry=registry,
        )
        self._auth_refusals_total = Counter(
            "auth_refusals_total",
            "Refusals of Supabase Auth that no slice expects, by Auth's code (other: unknown).",
            ("code",),
            registry=registry,
        )

    def requests(
        self, feature: str | None, method: str, status: int, seconds: Sequence[float]
    ) -> None:
        """Count requests of a slice, or of none; `seconds` is the time of each."""
        children = self._requests.get((feature, method, status))
        if children is None:
            children = self._request_children(feature, method, status)
        count, observe = children
        count(len(seconds))
        for one in seconds:
            observe(one)

    def cache_reads(self, feature: str | None, result: CacheResult, number: int = 1) -> None:
        """Count cached reads of a slice."""
        count = self._cache_reads.get((feature, result))
        if count is None:
            count = self._cache_reads_total.labels(self._slice(feature), result).inc
            if feature in self._slices:
                self._cache_reads[feature, result] = count
        count(number)

    def auth_refused(self, code: str) -> None:
        """Count a refusal of Supabase Auth; the codes are those of a table, or `other`."""
        self._auth_refusals_total.labels(code).inc()

    def limited(self, policy: str, number: int = 1, *, admitted: bool) -> None:
        """Count a limiter's decisions, under their scarcest policy: the one that refused, if any.

        `Decision.scarcest.policy.name` is that in both cases.
        """
        count = self._limited.get((policy, admitted))
        if count is None:
            result = "admitted" if admitted else "refused"
            count = self._limiter_decisions_total.labels(policy, result).inc
            self._limited[policy, admitted] = count
        count(number)

    def _request_children(
        self, feature: str | None, method: str, status: int
    ) -> tuple[_Count, _Observe]:
        """Return the metrics of such a request; they are cached for known names only."""
        name, known = self._slice(feature), method if method in _METHODS else _OTHER
        key = None if name == _NO_SLICE else name, known, status
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = (
                self._requests_total.labels(name, known, status).inc,
                self._request_duration.labels(name).observe,
            )
        return found

    def _slice(self, feature: str | None) -> str:
        return feature if feature is not None and feature in self._slices else _NO_SLICE
