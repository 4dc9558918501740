"""The open client connections of a process: their number, and how long each may wait."""

import asyncio
import heapq
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

from starlette.types import Scope

from kernel.config.settings import Settings
from kernel.edge.client_address import ClientAddress, ClientAddresses

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_MOST: Final = 10_000
# Descriptors for other purposes: standard streams, event loop, listening sockets, logs, Redis, and
# connections that are just being accepted or closed.
_RESERVED: Final = 128
_FEWEST: Final = 16
_SWEEP_SECONDS: Final = 0.5
_SHARE: Final = 20  # close a twentieth together, so that the search for them costs little
_YOUNG_SECONDS: Final = 1.0
_LOG_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Times in seconds, for a connection; numbers of connections, for a process (None: no limit).

    `header_seconds` and `body_seconds` limit the arrival of a request's whole head and body;
    `write_seconds` limits how long a client may read nothing, or less than 1 KB a second.
    """

    keep_alive_seconds: float = 75.0
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 30.0
    connections: int = _MOST
    per_client: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the bounds of the settings; by default descriptors limit the connections."""
        # Auth, PostgREST and Storage have as many connections each.
        reserved = _RESERVED + 3 * settings.supabase_concurrency
        return cls(
            keep_alive_seconds=settings.keep_alive_seconds,
            header_seconds=settings.header_timeout_seconds,
            body_seconds=settings.body_timeout_seconds,
            write_seconds=settings.write_timeout_seconds,
            connections=settings.max_connections or _by_descriptors(reserved),
            per_client=settings.max_connections_per_client,
        )


class ClientConnection(Protocol):
    """A client connection. `since` is when its current state started (the loop's time)."""

    peer: ClientAddress
    since: float

    @property
    def waits(self) -> Literal["request", "idle", "transfer"] | None:
        """What it waits for from the client; None while the client waits for us.

        `request` is the head of a request, also the first; `transfer` a body, or that the client
        reads.
        """
        ...

    def expire(self, now: float) -> None:
        """Close the connection, or refuse its request, if it has waited too long."""
        ...

    def drop(self) -> None:
        """Close it immediately."""
        ...


class Connections:
    """Counts connections, ends those that wait too long, and makes room if there are too many.

    It makes room by closing connections that wait for their client, the oldest first: silent ones
    and incomplete requests before those that have been used, and trusted proxies' last.
    """

    def __init__(self, bounds: Bounds, clients: ClientAddresses) -> None:
        self.bounds = bounds
        self._clients = clients
        self._open: set[ClientConnection] = set()
        self._by_client: Counter[str] = Counter()
        self._sweep_at: float | None = None
        self._logged: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._open)

    def peer(self, client: tuple[str, int] | None) -> ClientAddress:
        """Return the peer's address of a connection."""
        scope: Scope = {"client": client, "headers": []}
        return self._clients.of(scope)

    def add(self, connection: ClientConnection) -> bool:
        """Count a new connection and return True; return False if there is no room."""
        loop = asyncio.get_running_loop()
        peer, most = connection.peer, self.bounds.per_client
        if most is not None and not peer.trusted and self._by_client[peer.subject] >= most:
            self._log_once("MAX_CONNECTIONS_PER_CLIENT", most, "further ones are refused")
            return False
        if len(self._open) >= self.bounds.connections:
            self._log_once(
                "MAX_CONNECTIONS", self.bounds.connections, "the longest waiting are closed"
            )
            self._make_room(loop.time())
            if len(self._open) >= self.bounds.connections:
                return False
        self._open.add(connection)
        self._by_client[peer.subject] += 1
        if self._sweep_at is None:
            self._sweep_soon(loop)
        return True

    def discard(self, connection: ClientConnection) -> None:
        """Stop counting a connection."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        subject = connection.peer.subject
        self._by_client[subject] -= 1
        if not self._by_client[subject]:
            del self._by_client[subject]

    def _sweep_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep_at = loop.time() + _SWEEP_SECONDS
        loop.call_at(self._sweep_at, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now, planned = loop.time(), self._sweep_at or 0.0
        # After a blocked loop, received data is still unread: wait for the next sweep.
        if now - planned < _SWEEP_SECONDS:
            for connection in list(self._open):
                connection.expire(now)
        self._sweep_at = None
        if self._open:
            self._sweep_soon(loop)

    def _make_room(self, now: float) -> None:
        waiting = [one for one in self._open if one.waits]
        number = max(1, self.bounds.connections // _SHARE)
        for one in heapq.nsmallest(number, waiting, key=lambda one: _rank(one, now)):
            self.discard(one)
            one.drop()

    def _log_once(self, setting: str, most: int, what: str) -> None:
        """Write at most one line a minute."""
        now = asyncio.get_running_loop().time()
        if now - self._logged.get(setting, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[setting] = now
            log.warning("%s (%d) is reached: %s", setting, most, what)


def _rank(connection: ClientConnection, now: float) -> tuple[bool, int, float]:
    """Return the rank for closing: the smallest is closed first.

    A connection that has just opened is about to send: it comes last.
    """
    waits, since = connection.waits, connection.since
    if waits == "request":
        order = 0 if now - since > _YOUNG_SECONDS else 3
    else:
        order = 1 if waits == "idle" else 2
    return connection.peer.trusted, order, since


def _by_descriptors(reserved: int) -> int:
    if resource is None:
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(_FEWEST, min(_MOST, soft - reserved))
