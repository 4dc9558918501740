"""The crowd: many readers of one page, one writer, and a check that no answer is too old.

Run as `python -m bench.crowd`, with a Plan as JSON on standard input; it prints what was Seen.
"""

import asyncio
import dataclasses
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import uvloop

from bench.errors import BenchError
from bench.messages import message
from bench.processors import cpu_seconds

PAGE: Final = "/api/v1/posts"
_TITLE: Final = "crowd {:07}"
_NEWEST: Final = re.compile(rb'"title":"crowd (\d{7})"')  # the page has the newest post first
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CACHE: Final = re.compile(rb"\r\nx-cache: *(\w+)", re.IGNORECASE)
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Each of the `readers` reads every `think_seconds`; one writer writes a post at its pace.

    The API answers on `port` of this machine, as the process `pid`; `token` is the writer's.
    """

    port: int
    pid: int
    token: str
    readers: int
    think_seconds: float
    write_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What they saw. Times are milliseconds: the median, P95, P99 and the largest.

    `too_old` counts answers without a post whose write was answered before they were asked for;
    `own_missed` the writer's own among them. `late` is how long after its time a request was sent:
    then this program was slow, or the last answer. CPU times are shares of one processor.
    """

    answers: dict[str, int]
    reads: list[float]
    own_reads: list[float]
    writes: list[float]
    late: list[float]
    numbers: dict[str, int]
    too_old: int
    own_missed: int
    api_cpu: float
    crowd_cpu: float


class Answer(NamedTuple):
    """A response: its status, its X-Cache, the number of its newest post, its milliseconds."""

    status: bytes
    cache: bytes
    newest: int
    milliseconds: float


class Client:
    """A keep-alive connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return the answer. Raises BenchError if there is none in time."""
        asked = time.perf_counter()
        self._writer.write(request)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                head = await self._reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await self._reader.readexactly(int(length[1])) if length else b""
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            raise BenchError(f"The API did not answer: {type(error).__name__}") from None
        taken = 1000 * (time.perf_counter() - asked)
        cache, newest = _CACHE.search(head), _NEWEST.search(body)
        return Answer(
            head[9:12], cache[1] if cache else b"", int(newest[1]) if newest else 0, taken
        )

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


class Crowd:
    """Readers and a writer; `written` is the newest post whose write has been answered."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.written = 0
        self.too_old = self.own_missed = 0
        self._answers: Counter[str] = Counter()
        self._reads: list[float] = []
        self._own: list[float] = []
        self._writes: list[float] = []
        self._late: list[float] = []

    async def run(self) -> Seen:
        """Let them read and write. Raises BenchError if the API does not answer."""
        plan = self._plan
        clients = [await Client.connect(plan.port) for _ in range(plan.readers + 1)]
        before = cpu_seconds(plan.pid), time.process_time()
        began = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(clients[0], began))
                for number, client in enumerate(clients[1:]):
                    first = began + plan.think_seconds * number / plan.readers
                    group.create_task(self._read(client, first, began + plan.seconds))
        except* BenchError as failed:
            raise failed.exceptions[0] from None
        seconds = time.perf_counter() - began
        for client in clients:
            client.close()
        return Seen(
            answers=dict(sorted(self._answers.items())),
            reads=_spread(self._reads),
            own_reads=_spread(self._own),
            writes=_spread(self._writes),
            late=_spread(self._late),
            numbers={"reads": len(self._reads), "writes": len(self._writes)},
            too_old=self.too_old,
            own_missed=self.own_missed,
            api_cpu=(cpu_seconds(plan.pid) - before[0]) / seconds,
            crowd_cpu=(time.process_time() - before[1]) / seconds,
        )

    async def _read(self, client: Client, due: float, end: float) -> None:
        request = message(PAGE).encode()
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            self._late.append(1000 * (time.perf_counter() - due))
            at_least = self.written
            answer = await client.ask(request)
            self._reads.append(answer.milliseconds)
            self._answers[b" ".join((answer.status, answer.cache)).decode().strip()] += 1
            self.too_old += answer.status == b"200" and answer.newest < at_least
            due += self._plan.think_seconds

    async def _write(self, client: Client, began: float) -> None:
        bearer = {"Authorization": f"Bearer {self._plan.token}"}
        own_page = message(PAGE, bearer).encode()
        due, end = began, began + self._plan.seconds
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            number = self.written + 1
            post = {"title": _TITLE.format(number), "content": "word " * 60, "published": True}
            asked = message(PAGE, bearer, method="POST", body=json.dumps(post))
            answer = await client.ask(asked.encode())
            if answer.status != b"201":
                raise BenchError(f"A write is answered by {answer.status.decode()}, not by 201.")
            self._writes.append(answer.milliseconds)
            self.written = number
            own = await client.ask(own_page)
            self._own.append(own.milliseconds)
            self.own_missed += own.newest < number
            due += self._plan.write_seconds


def _spread(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return [round(ordered[round(last * part)], 3) for part in (0.5, 0.95, 0.99, 1.0)]


def main() -> None:
    """Read the plan, run it, print what was seen; a failure is one sentence and exit code 1."""
    values: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(**values)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            seen = runner.run(Crowd(plan).run())
    except (BenchError, OSError) as error:
        sys.exit(str(error))
    print(json.dumps(dataclasses.asdict(seen)))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
