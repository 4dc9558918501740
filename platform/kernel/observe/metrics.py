"""Request metrics, of this process or, through a shared folder, of all workers; and /metrics."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPMethod
from typing import Final, Literal

import prometheus_client
from fastapi import FastAPI, Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from kernel.observe.operations import Operations

CacheResult = Literal["hit", "miss", "stale", "bypass"]


SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable for the workers' folder; prometheus_client reads it on import."""

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
        # They would add a second series, the creation time, to each one.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._slices = frozenset(slices)
        # Metrics of every request are cached by plain tuples: labels() costs 2 µs a call.
        self._requests: dict[tuple[str | None, str, int], tuple[_Count, _Observe]] = {}
        self._cache_reads: dict[tuple[str | None, CacheResult], _Count] = {}
        self._limited: dict[tuple[str, bool], _Count] = {}
        shared = SHARED_FOLDER in os.environ
        registry = None if shared else self.registry
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
        PlatformCollector(registry=self.registry)
        if shared:
            # Per-worker process metrics would vary by scrape; use container metrics instead.
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self.registry)
            GCCollector(registry=self.registry)

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


PATH: Final = "/metrics"


class _Scrape(Collector):
    """One scrape: the registry's metrics, and those that were read beforehand."""

    def __init__(self, registry: Collector, asked: Iterable[Metric]) -> None:
        self._registry, self._asked = registry, asked

    def collect(self) -> Iterable[Metric]:
        yield from self._registry.collect()
        yield from self._asked


def metrics_endpoint(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint: always 200, as text or OpenMetrics, depending on Accept.

    It takes `Operations` from the running application's state.
    """

    async def answer(request: Request) -> Response:
        application: FastAPI = request.app
        operations: Operations = application.state.operations
        encode, content_type = choose_encoder(", ".join(request.headers.getlist("accept")))
        scrape = _Scrape(metrics.registry, await operations.read())
        # In a thread: it takes some ten milliseconds, and requests continue meanwhile.
        body = await asyncio.to_thread(encode, scrape)
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        return Response(body, headers=headers)

    return answer
