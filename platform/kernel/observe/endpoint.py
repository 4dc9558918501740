"""/metrics at the API's own port, for development: see METRICS_ON_API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from kernel.observe.operations import Operations

_HEADERS: Final = {"Cache-Control": "no-store"}


def metrics_endpoint(*collectors: Collector) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint: always 200, as text or OpenMetrics, depending on Accept.

    Unlike the listener, it also reports jobs and outbox: it reads `Operations` from the running
    application's state.
    """

    async def answer(request: Request) -> Response:
        application: FastAPI = request.app
        operations: Operations = application.state.operations
        await operations.read()
        scrape = CollectorRegistry()
        for collector in (*collectors, operations):
            scrape.register(collector)
        encode, content_type = choose_encoder(", ".join(request.headers.getlist("accept")))
        # In a thread: it takes some ten milliseconds, and requests continue meanwhile.
        body = await asyncio.to_thread(encode, scrape)
        return Response(body, headers={"Content-Type": content_type} | _HEADERS)

    return answer
