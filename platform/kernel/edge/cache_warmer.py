"""The cache warmer: stores a new caller's first reads before they are requested."""

import logging
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp

from kernel.cache.cached import one_caller
from kernel.cache.stored import RenderedResponse, render
from kernel.cache.warmer import CacheWarmer
from kernel.core.caller import Caller
from kernel.core.request_id import request_id
from kernel.edge.routes import Route
from kernel.edge.services import EdgeServices
from kernel.errors import ApiError
from kernel.redis import RedisAway
from kernel.web.call import SCOPE_KEY, Call

log = logging.getLogger(__name__)


class RouteWarmer(CacheWarmer):
    """Loads the cached reads that belong to one caller and have no other parameter.

    `app` is the application behind the Edge. If a service is unavailable, nothing is stored.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route], services: EdgeServices) -> None:
        self._app, self._services = app, services
        self._routes = [one for one in routes if one.cache is not None and "{" not in one.path]

    async def warm(self, token: str) -> None:
        """Store the reads of the caller with this access token; never raises."""
        try:
            caller = await self._services.verifier.verify(token)
            for route in self._routes:
                await self._fill(route, caller)
        except (ApiError, RedisAway):
            pass
        except Exception:  # the caller's own request has succeeded
            log.exception("The cache warmer failed")

    async def _fill(self, route: Route, caller: Caller) -> None:
        lookup = route.cache.find(route.path, b"", caller) if route.cache else None
        if lookup is None or lookup.cached.audience is not one_caller:
            return
        reads = self._services.reads
        (reply,) = await self._services.redis.ask(lookup.command)
        found = reads.judge(reply)
        if found.value is None and found.versions is not None:
            await reads.load(lookup, found, lambda: self._render(route, caller))

    async def _render(self, route: Route, caller: Caller) -> RenderedResponse:
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": route.method,
            "scheme": "http",
            "path": route.path,
            "query_string": b"",
            "root_path": "",
            "headers": [],
            SCOPE_KEY: Call(
                request_id=request_id.get() or "",
                client_address=None,
                feature=route.feature_name,
                caller=caller,
            ),
        }
        return await render(self._app, scope)
