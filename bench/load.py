"""The load: a program that keeps connections busy and counts what comes back.

Run as `python -m bench.load`, with a Plan as JSON on standard input; the Outcome, as JSON,
is what it prints. Each connection sends its next request when the answer to the last one is whole.
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
    """What to send to a port of this machine, where the process `pid` answers.

    `templates` are messages (see messages.py); `posts` are the numbers of the first post that they
    may ask for and of the one behind the last. After the warm-up the measurement ends after
    `requests` or, where that is None, after `seconds`, and in any case when posts run out.
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
    """What was measured: `answers` counts them by status and X-Cache, as `200 HIT` or `404`."""

    answers: dict[str, int]
    seconds: float
    cpu_seconds: float
    next_post: int


class Load:
    """One measurement, made in a running event loop.

    Connections ask it what to send, and tell it what came back.
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
        """Run it. Raises BenchError where the server breaks off, falls silent or has too little."""
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
        # The server is to have nothing left of this when the next one is measured.
        await asyncio.wait([one.closed for _, one in opened], timeout=_PATIENCE_SECONDS)
        return Outcome(
            answers={kind.decode("latin-1"): times for kind, times in self._answers.items()},
            seconds=after[0] - before[0],
            cpu_seconds=after[1] - before[1],
            next_post=self._messages.next_post,
        )

    def next(self) -> bytes | None:
        """Return the next message, or None when it is over."""
        if self._ended.done():
            return None
        message = next(self._messages, None)
        if message is None:
            self._end()
        return message

    def answered(self, kind: bytes) -> None:
        """Count an answer, as `200 HIT` or `404`."""
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
    """Read the plan, run it, print the outcome; what goes wrong is one sentence and exit code 1."""
    values: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(**values)
    gc.disable()  # it makes no cycles, and is to cost as little as it can
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
