"""Reads and writes of posts at a steady rate, from a process of their own.

`python -m kit.steady` takes a Plan as JSON in the first line of its standard input, and ends when
that input ends. A request begins when it is due, however long others take; its time counts from
then. The process prints the number of answers ten times a second and, at the end, the Outcome.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import httpx

from kit.process import PYTHONPATH, ROOT

# More requests than these never wait at once: then the rate is lower, and the Outcome says so.
_MOST_WAITING: Final = 100
_EVERY_SECONDS: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`rate` requests a second, of which `writes` publish a post, `most_writes` in all."""

    url: str
    authority: str
    tokens: list[str]
    rate: int
    writes: int
    most_writes: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Answers by status (or error), the seconds of each, the stored posts, and how long it took."""

    statuses: dict[str, int]
    seconds: list[float]
    posts: list[str]
    lasted: float


class Steady:
    """The running process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.answered = 0
        self.outcome: Outcome | None = None
        self._reading = asyncio.create_task(self._read())

    async def end(self) -> Outcome:
        """Stop it, and return its outcome."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._reading
        assert self.outcome is not None
        return self.outcome

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if isinstance(said, int):
                self.answered = said
            else:
                self.outcome = Outcome(**said)


@contextlib.asynccontextmanager
async def steady(plan: Plan) -> AsyncIterator[Steady]:
    """Run the plan during the block, or until `end`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kit.steady"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH},
        limit=1 << 26,  # the outcome is one line
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(dataclasses.asdict(plan)).encode() + b"\n")
        yield Steady(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class _Load:
    def __init__(self, plan: Plan, client: httpx.AsyncClient) -> None:
        self._plan, self._client = plan, client
        self._waiting = asyncio.Semaphore(_MOST_WAITING)
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.posts: list[str] = []

    async def run(self, ended: asyncio.Event) -> Outcome:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not ended.is_set():
                due = began + number / self._plan.rate
                await asyncio.sleep(due - time.monotonic())
                await self._waiting.acquire()
                group.create_task(self._one(number, due))
                number += 1
        return Outcome(
            statuses=dict(self.statuses),
            seconds=self.seconds,
            posts=self.posts,
            lasted=time.monotonic() - began,
        )

    async def _one(self, number: int, due: float) -> None:
        turn, rest = divmod(number, self._plan.rate // self._plan.writes)
        try:
            writes = not rest and turn < self._plan.most_writes
            answer = await (self._write(turn) if writes else self._read(number))
            self.statuses[str(answer.status_code)] += 1
        except httpx.HTTPError as error:
            self.statuses[repr(error)] += 1
        finally:
            self._waiting.release()
        self.seconds.append(time.monotonic() - due)

    async def _read(self, number: int) -> httpx.Response:
        return await self._client.get("/api/v1/posts", params={"page": number % 3 + 1})

    async def _write(self, turn: int) -> httpx.Response:
        token = self._plan.tokens[turn % len(self._plan.tokens)]
        answer = await self._client.post(
            "/api/v1/posts",
            json={"title": "Under load", "content": "", "published": True},
            headers={"Authorization": f"Bearer {token}"},
        )
        if answer.is_success:
            self.posts.append(answer.json()["data"]["id"])
        return answer


async def _main() -> None:
    plan = Plan(**json.loads(await asyncio.to_thread(sys.stdin.readline)))
    trusted = ssl.create_default_context(cafile=plan.authority)
    limits = httpx.Limits(max_connections=_MOST_WAITING, max_keepalive_connections=_MOST_WAITING)
    ended = asyncio.Event()

    async def say(load: _Load) -> None:
        while True:
            print(len(load.seconds), flush=True)  # noqa: T201 - the parent reads it
            await asyncio.sleep(_EVERY_SECONDS)

    async def wait() -> None:
        await asyncio.to_thread(sys.stdin.read)
        ended.set()

    async with httpx.AsyncClient(
        base_url=plan.url, verify=trusted, timeout=20, limits=limits
    ) as client:
        load = _Load(plan, client)
        others = [asyncio.create_task(say(load)), asyncio.create_task(wait())]
        outcome = await load.run(ended)
        for task in others:
            task.cancel()
    print(json.dumps(dataclasses.asdict(outcome)), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    asyncio.run(_main())
