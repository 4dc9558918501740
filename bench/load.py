"""The load generator: a program that keeps connections busy and counts the responses.

Run as `python -m bench.load`, with a Plan as JSON on standard input; it prints the Outcome as JSON.
Each connection sends its next request after the whole response to the last one.
"""

import asyncio
import dataclasses
import gc
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from bench.connection import LoadConnection
from bench.errors import BenchError
from bench.messages import Messages
from bench.processors import cpu_seconds

_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The messages for a port of this machine, on which the process `pid` answers.

    `templates` are messages (see messages.py); `posts` are the number of the first usable post and
    the number after the last one. After the warm-up the measurement ends after `requests` or, if
    that is None, after `seconds`, and always when the posts are used up.
    """

    port: int
    pid: int
    templates: list[str]
    connections: int
    seconds: float
    requests: int | None = None
    warm_up_seconds: float = 0.25
    posts: tuple[int, int] = (0, 0)
    first_address: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result: `answers` counts responses by status and X-Cache, as `200 HIT` or `404`."""

    answers: dict[str, int]
    seconds: float
    cpu_seconds: float
    next_post: int


class Load:
    """One measurement in a running event loop.

    Connections get their messages from it, and report their results to it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._messages = Messages(plan.templates, range(*plan.posts), plan.first_address)
        self._answers: Counter[bytes] = Counter()
        self._left = plan.requests or sys.maxsize
        self._before: tuple[float, float] | None = None
        self._seen = 0
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[tuple[float, float]] = self._loop.create_future()

    async def run(self) -> Outcome:
        """Run it. Raises BenchError if the server disconnects, is silent, or has too few posts."""
        self._loop.call_later(self._plan.warm_up_seconds, self._begin)
        self._loop.call_later(_PATIENCE_SECONDS, self._watch, 0)
        opened = [
            await self._loop.create_connection(
                lambda: LoadConnection(self), "127.0.0.1", self._plan.port
            )
            for _ in range(self._plan.connections)
        ]
        after, before = await self._ended, self._before
        if before is None:
            raise BenchError("There were too few posts for the warm-up.")
        # Connections of this load must not disturb the next measurement.
        await asyncio.wait([one.closed for _, one in opened], timeout=_PATIENCE_SECONDS)
        return Outcome(
            answers={kind.decode("latin-1"): times for kind, times in self._answers.items()},
            seconds=after[0] - before[0],
            cpu_seconds=after[1] - before[1],
            next_post=self._messages.next_post,
        )

    def next(self) -> bytes | None:
        """Return the next message, or None at the end."""
        if self._ended.done():
            return None
        message = next(self._messages, None)
        if message is None:
            self._end()
        return message

    def answered(self, kind: bytes) -> None:
        """Count a response, as `200 HIT` or `404`."""
        self._seen += 1
        if self._before is None or self._ended.done():
            return
        self._answers[kind] += 1
        self._left -= 1
        if not self._left:
            self._end()

    def fail(self, reason: str) -> None:
        """End it without a result."""
        if not self._ended.done():
            self._ended.set_exception(BenchError(reason))

    def _begin(self) -> None:
        if not self._ended.done():
            self._before = self._clocks()
            if self._plan.requests is None:
                self._loop.call_later(self._plan.seconds, self._end)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(self._clocks())

    def _clocks(self) -> tuple[float, float]:
        return time.perf_counter(), cpu_seconds(self._plan.pid)

    def _watch(self, seen: int) -> None:
        if seen == self._seen:
            self.fail(f"The server did not answer for {_PATIENCE_SECONDS:.0f} s.")
        elif not self._ended.done():
            self._loop.call_later(_PATIENCE_SECONDS, self._watch, self._seen)


def main() -> None:
    """Read the plan, run it, print the outcome; a failure is one sentence and exit code 1."""
    values: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(**values)
    gc.disable()  # it creates no cycles, and must cost as little as possible
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_run(plan))
    except (BenchError, OSError) as error:
        sys.exit(str(error))
    print(json.dumps(dataclasses.asdict(outcome)))  # noqa: T201 - the parent reads it


async def _run(plan: Plan) -> Outcome:
    return await Load(plan).run()


if __name__ == "__main__":
    main()
