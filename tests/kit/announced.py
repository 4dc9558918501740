"""What a slice announces: the tags of cached reads that are dropped before it responds."""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes
from kernel.config.settings import Settings
from kernel.events import Event
from kernel.web.routing import Answer
from kit.application import running, whole
from kit.small import changed
from kit.valkeys import Valkey

Dropped = Callable[[], set[str]]


def keeping(kind: type[Event], field: str) -> Feature:
    """Return a slice with cached reads, by id and in pages, that this event drops."""
    router = APIRouter()
    # The type does not matter: nothing requests these reads, so the value is never parsed.
    by_id = inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, annotation=UUID)

    async def one(**_: object) -> Answer[bool]:
        return Answer(data=True)

    vars(one)["__signature__"] = inspect.signature(one).replace(parameters=[by_id])
    cached = Cached(f"kept:{{{field}}}", ttl=minutes(9), audience=everyone, drop_on=(kind,))
    router.get(f"/kept/{{{field}}}")(cached.serves(one))

    @router.get("/kept")
    @Cached("kept:pages:{page}", ttl=minutes(9), audience=everyone, drop_on=(kind,)).serves
    async def pages(page: int = 1) -> Answer[int]:
        return Answer(page)

    return Feature(router=router, caller="ignored")


@contextlib.asynccontextmanager
async def announced(
    settings: Settings, valkey: Valkey, kind: type[Event], field: str
) -> AsyncIterator[tuple[Callable[..., httpx.AsyncClient], Dropped]]:
    """Run the application without a relay; yield a maker of clients, and `dropped`.

    `dropped()` returns the ids that events of this kind have named since the last call.
    """
    own = changed(settings, redis_port=valkey.port, redis_db=0)
    app = create_app(own, {**whole(), "keep": keeping(kind, field)})

    def dropped() -> set[str]:
        keys = {str(name) for name in valkey.client.scan_iter("tag:kept:*")}
        if keys:
            valkey.client.unlink(*keys)
        ids = {key.removeprefix("tag:kept:") for key in keys} - {"pages:*"}
        assert bool(ids) is ("tag:kept:pages:*" in keys)  # each event drops the pages, too
        return ids

    async with running(app) as client_for:
        yield client_for, dropped
