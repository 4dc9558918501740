"""All clients of a process: how many there may be, and when each must go."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Literal
from uuid import UUID

from kernel.core.caller import Caller
from kernel.core.metrics import LIVE_CLOSED, LIVE_SOCKETS
from kernel.errors import ApiError, NotFound, TooManyRequests, Unavailable
from kernel.live.client import NOT_AUTHENTICATED, RESTARTS, LiveClient, Message
from kernel.live.hub import Hub
from kernel.live.topic import Topics

log = logging.getLogger(__name__)

Kind = Literal["websocket", "sse"]
Ended = Callable[[Collection[UUID]], Awaitable[Collection[UUID]]]

MOST_TOPICS: Final = 32
"""Topics of one client."""

SPREAD_MS: Final = 10_000
"""Clients of a process that restarts connect again within this time, each at a random moment."""

_SWEEP_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 5
_CODES: Final = frozenset({1000, 1001, 1005, 1006, 1009, 1011, 1012, 4400, 4401, 4408, 4429})


class TopicNotFound(NotFound):
    """No slice declares the topic, or its audience does not include the caller."""

    code = "TOPIC_NOT_FOUND"
    message = "This topic does not exist, or you may not follow it."


class TooManySockets(TooManyRequests):
    """The user has as many live connections as LIVE_PER_USER allows."""

    code = "TOO_MANY_SOCKETS"
    message = "You have too many live connections: close one."


class LiveUnavailable(Unavailable):
    """The process has as many live connections as LIVE_MAX_SOCKETS allows, or shuts down."""

    code = "LIVE_UNAVAILABLE"
    message = "Live updates are not available here at the moment. Please try again shortly."


class LiveClients:
    """Opens and closes clients.

    Twice a second it closes those whose token has expired or whose session has ended, and when the
    process drains it tells all of them to connect elsewhere. `ended` returns which of some sessions
    have ended; `draining` says whether the process drains. Both bounds are for one process.
    """

    def __init__(
        self,
        hub: Hub,
        topics: Topics,
        *,
        most: int,
        per_user: int,
        ended: Ended,
        draining: Callable[[], bool],
    ) -> None:
        self._hub, self._topics, self._most, self._per_user = hub, topics, most, per_user
        self._ended, self._draining = ended, draining
        self._open: dict[LiveClient, Kind] = {}
        self._by_user: Counter[UUID] = Counter()
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def aclose(self) -> None:
        """Close all clients, and stop."""
        for client in list(self._open):
            client.close(RESTARTS, "the process ends")
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        await self._hub.aclose()

    def open(self, caller: Caller, kind: Kind) -> LiveClient:
        """Return a new client; `close` it. Raises LiveUnavailable or TooManySockets."""
        if self._draining() or len(self._open) >= self._most:
            raise LiveUnavailable(retry_after=_RETRY_SECONDS)
        self._refuse_more(caller)
        client = LiveClient(caller)
        self._open[client] = kind
        LIVE_SOCKETS.labels(kind).inc()
        self._count(caller, 1)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        return client

    def close(self, client: LiveClient, code: int) -> None:
        """Forget a client that is closed, by us or by itself; `code` counts if we did not."""
        if (kind := self._open.pop(client, None)) is None:
            return
        client.close(code)
        self._hub.leave(client)
        self._count(client.caller, -1)
        LIVE_SOCKETS.labels(kind).dec()
        closed = client.code if client.code in _CODES else "other"
        LIVE_CLOSED.labels(kind, closed).inc()

    def renew(self, client: LiveClient, caller: Caller) -> None:
        """Set the caller of a client: its first token, or a new one of the same user.

        Raises TooManySockets.
        """
        if client.caller.user_id != caller.user_id:
            self._refuse_more(caller)
            self._count(client.caller, -1)
            self._count(caller, 1)
        client.caller = caller

    async def follow(self, client: LiveClient, topics: Collection[str], since: str | None) -> None:
        """Subscribe a client to topics, all or none of them. Raises TopicNotFound."""
        wanted = set(topics)
        if len(client.topics | wanted) > MOST_TOPICS:
            raise TopicNotFound(most=MOST_TOPICS)
        for name in wanted:
            if not self._topics.admits(client.caller, name):
                raise TopicNotFound
        await self._hub.ready()
        if client in self._open:
            self._hub.follow(client, wanted, since)

    def unfollow(self, client: LiveClient, topics: Collection[str]) -> None:
        """Unsubscribe a client from topics."""
        self._hub.leave(client, set(topics))

    def _refuse_more(self, caller: Caller) -> None:
        if caller.user_id is not None and self._by_user[caller.user_id] >= self._per_user:
            raise TooManySockets

    def _count(self, caller: Caller, number: int) -> None:
        if caller.user_id is None:
            return
        self._by_user[caller.user_id] += number
        if not self._by_user[caller.user_id]:
            del self._by_user[caller.user_id]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                if self._draining():
                    self._drain()
                self._close_expired()
                await self._close_ended()
            except ApiError as error:
                # Neither Redis nor the database answers. What clients refetch is refused, too.
                log.warning("Sessions of live clients are not checked", extra={"code": error.code})
            except Exception:
                log.exception("Live clients are not checked")

    def _drain(self) -> None:
        for client in list(self._open):
            after = random.randrange(SPREAD_MS)  # noqa: S311 - jitter
            client.finish(RESTARTS, "restart", Message.of("reconnect", after_ms=after))

    def _close_expired(self) -> None:
        now = time.time()
        for client in list(self._open):
            if client.caller.user_id is not None and client.caller.expires_at <= now:
                client.close(NOT_AUTHENTICATED, "the token has expired")

    async def _close_ended(self) -> None:
        sessions = {client.caller.session_id for client in self._open} - {None}
        if not sessions:
            return
        ended = await self._ended([one for one in sessions if one is not None])
        for client in list(self._open) if ended else ():
            if client.caller.session_id in ended:
                client.close(NOT_AUTHENTICATED, "the session has ended")
