from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from kernel.errors import UriTooLong
from kernel.web import LiveUnavailable, Services, TooManySockets, TopicNotFound, raises

from . import handler
from .schema import Following

router = APIRouter(tags=["live"])

_EVENTS: Final = "text/event-stream"
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_EVENTS: {}}}  # OpenAPI 3.1 has no schema for events
}
# The second header keeps proxies from collecting the events.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# FastAPI's own EventSourceResponse begins before the handler could refuse the call.
@router.get(
    "/live/events",
    response_class=StreamingResponse,
    responses=_STREAM | raises(TopicNotFound, TooManySockets, LiveUnavailable, UriTooLong),
)
async def live_events(
    following: Annotated[Following, Query()],
    services: Services,
    last_event_id: Annotated[
        str | None, Header(max_length=100, examples=["5f0c9a1be27d.42"])
    ] = None,
) -> StreamingResponse:
    """Follow topics as server-sent events.

    An event `changed` has a topic and ids: read it again. `reset` means that changes may be
    missing: read everything again. A client that connects again sends `Last-Event-ID`.
    """
    stream = await services.call(handler.live_events, topics=following.topics, since=last_event_id)
    return StreamingResponse(stream, media_type=_EVENTS, headers=_HEADERS)
