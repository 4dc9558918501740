"""Many open connections, and a steady rate over all of them: `python -m bench.scale.connected`.

It reads a Wanted as JSON from standard input, and prints like the users of Locust: one line of JSON
each second. A request is due at its time, however long others take; its milliseconds count from
then. Locust has a greenlet for each user, and would need more processor time than what it measures.
"""

import asyncio
import gc
import json
import random
import sys
import time
from bisect import bisect
from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from bench.connection import LoadConnection
from bench.messages import message

# Connections of one loopback address: Linux finds a free port at once while a quarter is used.
_PER_ADDRESS: Final = 5_000
_OPENING: Final = 50  # at the same time
_TURN_SECONDS: Final = 0.005
_API: Final = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """`rate` requests a second over all connections, for `seconds` after the ramp.

    Each connection opens within `ramp_seconds`, sends its first request at once, and stays open.
    """

    urls: list[str]
    tokens: list[str]
    posts: list[str]
    connections: int
    rate: float
    ramp_seconds: float
    seconds: float


class Client:
    """One user: a connection, and the requests that are due on it."""

    def __init__(self, load: "Load", number: int) -> None:
        self._load, self._number = load, number
        self._due: deque[tuple[str, bytes, float]] = deque()
        self._sent: tuple[str, float] | None = None
        self._connection: LoadConnection | None = None
        self._closes = False

    async def open(self) -> None:
        """Connect, and send what is due."""
        loop = asyncio.get_running_loop()
        url = urlsplit(self._load.wanted.urls[self._number % len(self._load.wanted.urls)])
        # Linux has all of 127/8 on its loopback; a connection needs a port for each address.
        last = 1 + self._number // _PER_ADDRESS if sys.platform == "linux" else 1
        try:
            _, self._connection = await loop.create_connection(
                lambda: LoadConnection(self),
                str(url.hostname),
                url.port or 80,
                local_addr=(f"127.0.0.{last}", 0),
            )
        except OSError as error:
            self._load.saw("connect", type(error).__name__, time.perf_counter())
        else:
            self._load.open += 1

    def ask(self, due: float) -> None:
        """Send the next request, after the answers to the earlier ones."""
        call, path = self._load.draw()
        token = self._load.wanted.tokens[self._number % len(self._load.wanted.tokens)]
        number = self._number
        headers = {
            "Authorization": f"Bearer {token}",
            "X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        }
        self._due.append((call, message(f"{_API}{path}", headers).encode(), due))
        if self._connection is not None and self._sent is None:
            self._connection.send()

    def close(self) -> None:
        """Close the connection, whatever is due."""
        self._closes = True
        if self._connection is not None:
            self._connection.send()

    def next(self) -> bytes | None:
        """Return the message that is due next; an empty one keeps the connection open."""
        if self._closes:
            return None
        if not self._due:
            return b""
        call, said, due = self._due.popleft()
        self._sent = (call, due)
        return said

    def answered(self, kind: bytes) -> None:
        """Record an answer."""
        assert self._sent is not None
        (call, due), self._sent = self._sent, None
        self._load.saw(call, kind.decode("latin-1"), due)

    def fail(self, reason: str) -> None:
        """Record that the connection has ended."""
        self._load.open -= 1
        self._connection = None
        call, due = self._sent or ("idle", time.perf_counter())
        self._load.saw(call, reason, due)


class Load:
    """All clients; `open` is the number of their connections."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.open = 0
        self._seen: list[tuple[str, str, float, float]] = []
        self._ranks = list(accumulate(1 / rank for rank in range(1, len(wanted.posts) + 1)))
        self._dice = random.Random(1)  # noqa: S311 - a load that can be repeated
        self._clients = [Client(self, number) for number in range(wanted.connections)]
        self._order: list[Client] = []  # those that are open
        self._place = 0

    def draw(self) -> tuple[str, str]:
        """Return a call and its path: posts by Zipf, lists, the own user, as 80 to 10 to 10."""
        chance = self._dice.random()
        if chance < 0.8:  # noqa: PLR2004 - the docstring says it
            place = bisect(self._ranks, self._dice.random() * self._ranks[-1])
            return "post", f"/posts/{self.wanted.posts[place]}"
        if chance < 0.9:  # noqa: PLR2004 - the docstring says it
            return "list", f"/posts?page={self._dice.choice((1, 1, 1, 2, 3))}"
        return "me", "/users/me"

    def saw(self, call: str, outcome: str, due: float) -> None:
        """Record an answer."""
        self._seen.append((call, outcome, time.time(), (time.perf_counter() - due) * 1000))

    async def run(self) -> None:
        """Open all connections, then send at the rate until the time is over.

        Those that are open send already while the others open, or the server would close them.
        """
        reporting = asyncio.create_task(self._report())
        opening = asyncio.create_task(self._open())
        owed, last = 0.0, time.perf_counter()
        while not opening.done():
            await asyncio.sleep(_TURN_SECONDS)
            last, before = time.perf_counter(), last
            owed += (last - before) * self.wanted.rate * len(self._order) / len(self._clients)
            while owed >= 1:
                self._ask(last)
                owed -= 1
        await opening
        began, sent = time.perf_counter(), 0
        wanted = int(self.wanted.rate * self.wanted.seconds)
        while sent < wanted:
            due = (time.perf_counter() - began) * self.wanted.rate
            while sent < min(due, wanted):
                self._ask(began + sent / self.wanted.rate)
                sent += 1
            await asyncio.sleep(_TURN_SECONDS)
        await asyncio.sleep(1)  # the last answers
        reporting.cancel()
        self._print()
        for client in self._clients:
            client.close()

    def _ask(self, due: float) -> None:
        """Send a request over the connection that has waited longest."""
        self._order[self._place % len(self._order)].ask(due)
        self._place += 1

    async def _open(self) -> None:
        """Open the connections one after the other, in the time of the ramp."""
        began, places = time.perf_counter(), asyncio.Semaphore(_OPENING)
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(self._clients):
                due = began + number / len(self._clients) * self.wanted.ramp_seconds
                await asyncio.sleep(due - time.perf_counter())
                async with places:
                    group.create_task(self._begin(client))

    async def _begin(self, client: Client) -> None:
        await client.open()
        client.ask(time.perf_counter())
        self._order.append(client)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._print()

    def _print(self) -> None:
        seen, self._seen = self._seen, []
        sys.stdout.write(json.dumps({"users": self.open, "seen": seen, "kept": []}) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Read what is wanted, and do it."""
    values: dict[str, Any] = json.load(sys.stdin)
    gc.disable()  # it creates no cycles, and must cost as little as possible
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Load(Wanted(**values)).run())


if __name__ == "__main__":
    main()
