"""`./app bench --sockets`: memory for each WebSocket, and how soon a message has reached all."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from bench.errors import BenchError
from bench.processors import Processors, cpu_seconds, resident_bytes
from bench.system import Server, System, running
from kernel.live.stream import write
from kernel.redis.connecting import Endpoint
from kernel.redis.multiplexed import Multiplexed

_ADDRESSES: Final = 8  # 127.0.0.2 and following: one address has too few ports
_AT_ONCE: Final = 200
_WAIT_SECONDS: Final = 60.0
_TOPIC: Final = "posts"
_MASKED: Final = 0x80
_HANDSHAKE: Final = (
    b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Live:
    """The figures: bytes of the server for each socket; the others for a message to all of them."""

    sockets: int
    bytes_each: float
    median_ms: float
    p99_ms: float
    last_ms: float
    cpu_us_each: float

    def line(self) -> str:
        """Return it as a line of JSON."""
        figures = {name: round(value, 2) for name, value in vars(self).items()}
        return json.dumps({"sockets": figures})


def measure_sockets(root: Path, *, sockets: int, rounds: int, say: Callable[[str], None]) -> Live:
    """Return the figures of one process with so many sockets; medians of the rounds.

    Raises BenchError if a socket is refused, or does not get a message within a minute.
    """
    say("starting the stack")
    with running(root, Processors.divide(), posts=1) as system:
        room = str(sockets + 500)
        server = system.api("api", MAX_CONNECTIONS=room, LIVE_MAX_SOCKETS=room)
        return asyncio.run(_measure(system, server, sockets, rounds, say))


async def _measure(
    system: System, server: Server, sockets: int, rounds: int, say: Callable[[str], None]
) -> Live:
    crowd = _Crowd(server)
    await crowd.grow(1)  # the reader of the stream starts
    before = resident_bytes(server.pid)
    await crowd.grow(sockets - 1)
    each = (resident_bytes(server.pid) - before) / max(1, sockets - 1)
    say(f"{sockets:,} sockets  {each:,.0f} bytes each")
    redis = Multiplexed(Endpoint(host=system.cache_host, port=system.cache_port))
    found: list[tuple[list[float], float]] = []
    try:
        for number in range(rounds + 1):
            spent = cpu_seconds(server.pid)
            times = await crowd.tell(redis)
            spent = cpu_seconds(server.pid) - spent
            if number:  # the first is the warm-up
                found.append((times, spent))
                say(f"round {number}: the last one after {1000 * times[-1]:.0f} ms")
    finally:
        await redis.aclose()
        crowd.leave()

    def median(of: Callable[[list[float]], float]) -> float:
        return 1000 * statistics.median(of(times) for times, _ in found)

    return Live(
        sockets=sockets,
        bytes_each=each,
        median_ms=median(statistics.median),
        p99_ms=median(lambda times: times[int(0.99 * (len(times) - 1))]),
        last_ms=median(lambda times: times[-1]),
        cpu_us_each=1e6 * statistics.median(spent for _, spent in found) / sockets,
    )


class _Crowd:
    """Many clients that subscribe to one topic."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._clients: list[_Client] = []
        self.heard: list[float] = []
        self._all = asyncio.Event()

    async def grow(self, number: int) -> None:
        """Open so many more sockets."""
        for first in range(0, number, _AT_ONCE):
            part = range(first, min(number, first + _AT_ONCE))
            await asyncio.gather(*(self._open() for _ in part))

    async def tell(self, redis: Multiplexed) -> list[float]:
        """Write one change; return the seconds after which each client had it, sorted."""
        self.heard = []
        self._all.clear()
        begun = time.perf_counter()
        await write(redis, [(_TOPIC, json.dumps({"post_id": str(uuid4())}))])
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._all.wait()
        except TimeoutError:
            missing = len(self._clients) - len(self.heard)
            raise BenchError(f"{missing} sockets did not get a message in a minute") from None
        return sorted(at - begun for at in self.heard)

    def hear(self) -> None:
        """Note that a client has the message."""
        self.heard.append(time.perf_counter())
        if len(self.heard) == len(self._clients):
            self._all.set()

    def leave(self) -> None:
        """Close all sockets."""
        for client in self._clients:
            client.transport.abort()

    async def _open(self) -> None:
        address = f"127.0.0.{2 + len(self._clients) % _ADDRESSES}"
        client = _Client(self)
        self._clients.append(client)
        await asyncio.get_running_loop().create_connection(
            lambda: client, "127.0.0.1", self._server.port, local_addr=(address, 0)
        )
        async with asyncio.timeout(_WAIT_SECONDS):
            await client.subscribed


class _Client(asyncio.Protocol):
    """A socket, in as little memory and time as it can be."""

    transport: Any

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._accepted = False

    def connection_made(self, transport: Any) -> None:
        """Send the handshake."""
        self.transport = transport
        transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Subscribe, then hear. Each message is one small frame and arrives in one piece."""
        if not self._accepted:
            if not data.startswith(b"HTTP/1.1 101 "):
                self.subscribed.set_exception(BenchError(f"a socket was refused: {data!r}"))
                return
            self._accepted = True
            self.transport.write(_frame({"type": "subscribe", "topics": [_TOPIC]}))
        elif b'"subscribed"' in data:
            self.subscribed.set_result(None)
        elif b'"changed"' in data:
            self._crowd.hear()
        elif data[:1] == b"\x89":  # a ping: the same as a pong, masked with zeros
            self.transport.write(b"\x8a" + bytes([_MASKED | data[1]]) + bytes(4) + data[2:])


def _frame(message: object) -> bytes:
    text = json.dumps(message).encode()  # shorter than 126 bytes
    return b"\x81" + bytes([_MASKED | len(text)]) + bytes(4) + text
