from collections.abc import AsyncIterator, Collection
from typing import Final

import orjson
from fastapi.sse import format_sse_event

from kernel.web import Call, LiveClient, LiveClients

_COMMENT_SECONDS: Final = 15.0  # proxies close connections that are idle for longer


async def live_events(
    live: LiveClients, client: LiveClient, call: Call, *, topics: Collection[str], since: str | None
) -> AsyncIterator[bytes]:
    """Return the stream of events. Raises TopicNotFound, TooManySockets or LiveUnavailable."""
    await live.follow(client, topics, since)
    call.streams()
    return _events(client)


async def _events(client: LiveClient) -> AsyncIterator[bytes]:
    async for message in client.messages(every=_COMMENT_SECONDS):
        if message is None:
            yield format_sse_event(comment="idle")
            continue
        retry = orjson.loads(message.text)["after_ms"] if message.kind == "reconnect" else None
        yield format_sse_event(
            event=message.kind, data_str=message.text, id=message.at, retry=retry
        )
    yield format_sse_event(event="closed", data_str=orjson.dumps({"code": client.code}).decode())
