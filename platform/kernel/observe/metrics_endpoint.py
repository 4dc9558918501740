"""The endpoint /metrics: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from fastapi import FastAPI, Request, Response
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from kernel.observe.metrics import Metrics
from kernel.observe.operations import Operations

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
