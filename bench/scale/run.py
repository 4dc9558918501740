"""Runs a scenario: a stack of its own, the load, samples, and the verdict."""

import asyncio
import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from redis.asyncio import Redis

from bench.errors import BenchError
from bench.processes import environment
from bench.scale import flat, report
from bench.scale.connected import Wanted
from bench.scale.faults import Faults
from bench.scale.generator import Generator, generating, own
from bench.scale.observed import Observed, Times
from bench.scale.people import PASSWORD
from bench.scale.scenarios import Scenario, missed
from bench.scale.stack import Stack, running
from bench.scale.usage import Usage, usage

Say = Callable[[str], None]

_SAMPLE_SECONDS: Final = 5.0
_PEOPLE: Final = 200  # at least: an export is allowed three times a day
_POSTS_OF_A_USER: Final = 2
_POSTS: Final = 2000  # at most: the popular ones are most of what is read
_TOGETHER: Final = 8
_RATE: Final = 1000.0
_CONNECTIONS: Final = "select count(*) from pg_stat_activity where backend_type = 'client backend'"


@dataclass(kw_only=True)
class Result:
    """The lines of a run, and a sentence for each bound that it missed."""

    lines: list[str]
    missed: list[str] = field(default_factory=list)


def load(
    root: Path, scenario: Scenario, say: Say, *, locust: Path | None, rate: float = _RATE
) -> Result:
    """Run a scenario; `locust` is the Python that has Locust, `rate` that of `connections`.

    Raises BenchError if there is no figure, StackError if a server does not start.
    """
    say(f"{scenario.title}: {scenario.says}")
    say("starting the stack")
    people = max(scenario.users, _PEOPLE)
    posts = min(_POSTS, _POSTS_OF_A_USER * scenario.users)
    with running(root, users=people, posts=posts) as stack:
        return asyncio.run(Run(root, scenario, stack, say, locust=locust, rate=rate).result())


class Run:
    """One run on a running stack."""

    def __init__(
        self,
        root: Path,
        scenario: Scenario,
        stack: Stack,
        say: Say,
        *,
        locust: Path | None,
        rate: float,
    ) -> None:
        self._root, self._scenario, self._stack = root, scenario, stack
        self._say, self._locust, self._rate = say, locust, rate
        self._samples: list[flat.Sample] = []
        self._said = 0.0
        self._redis: Redis = Redis.from_url(stack.servers.cache_url)

    async def result(self) -> Result:
        """Make the load, and judge it."""
        scenario = self._scenario
        faults = Faults(self._stack, self._say) if scenario.name == "faults" else None
        await self._warm()
        before = usage(self._stack.named())
        async with self._generator() as generator:
            pids = {**self._stack.named(), "generator": generator.pid}
            tasks = [asyncio.create_task(self._sample(pids))]
            if faults is not None:
                begins, lasts = time.time() + scenario.ramp_seconds, scenario.seconds
                tasks.append(asyncio.create_task(faults.run(begins, lasts - scenario.ramp_seconds)))
            try:
                seen = await generator.follow(self._told, seconds=scenario.seconds)
            finally:
                for task in tasks:
                    task.cancel()
            for failure in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failure, Exception):  # a cancelled task has ended as it should
                    raise failure
        await self._redis.aclose()
        begins = seen.began
        if not scenario.measures_ramp:
            begins = generator.full_at or begins + scenario.ramp_seconds
        measured = seen.since(begins)
        found = Result(lines=[scenario.title, "", *report.answers(measured)])
        if faults is None:
            found.lines += ["", *self._processes(begins)]
            found.missed = missed(scenario, measured)
        found.lines += ["", *report.plot(measured)]
        if faults is not None:  # its processes were not the same all the time
            found.lines += ["", *await faults.table(seen)]
            found.missed = faults.missed
        if scenario.name == "connections":
            self._add_connections(found, before, generator)
        if scenario.name == "soak":
            values = flat.held(self._measured(begins))
            found.lines += ["", *flat.lines(values)]
            found.missed += flat.missed(values)
        return found

    async def _warm(self) -> None:
        """Read each post once: a cache that has run for half an hour has most of them."""
        self._say("filling the cache")
        numbers = iter(enumerate(self._stack.people.posts))

        async def some(client: aiohttp.ClientSession) -> None:
            for number, post in numbers:
                headers = {"X-Forwarded-For": f"10.255.{number >> 8}.{number & 255}"}
                async with client.get(f"/api/v1/posts/{post}", headers=headers) as answer:
                    if not answer.ok:
                        raise BenchError(
                            f"GET /api/v1/posts/{{post_id}} was answered by {answer.status}: the "
                            "scenarios need posts. Change tests/load/locustfile.py to your slices."
                        )

        async with aiohttp.ClientSession(self._stack.api_urls[0]) as client:
            await asyncio.gather(*(some(client) for _ in range(_TOGETHER)))

    @contextlib.asynccontextmanager
    async def _generator(self) -> AsyncIterator[Generator]:
        """Run Locust, or our own generator; a private file has the tokens."""
        log = self._stack.logs / "generator.log"
        scenario, people = self._scenario, self._stack.people
        if not scenario.classes:
            wanted = Wanted(
                urls=list(self._stack.api_urls),
                tokens=people.tokens,
                posts=people.posts,
                connections=scenario.users,
                rate=self._rate,
                ramp_seconds=scenario.ramp_seconds,
                seconds=scenario.seconds - scenario.ramp_seconds,
            )
            told = json.dumps(dataclasses.asdict(wanted)).encode()
            command = own("bench.scale.connected")
            settings = environment(self._root)
            async with generating(command, settings, log, users=scenario.users, told=told) as one:
                yield one
            return
        data = {
            **dataclasses.asdict(people),
            "hosts": self._stack.api_urls,
            "think": scenario.think,
            "password": PASSWORD,
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            settings = {**environment(self._root), "LOAD_DATA": file.name, "PYTHONPATH": ""}
            async with generating(self._command(), settings, log, users=scenario.users) as one:
                yield one

    def _command(self) -> list[str]:
        scenario = self._scenario
        return [
            *(str(self._locust), "-m", "locust", "--headless", "--only-summary"),
            *("--locustfile", str(self._root / "tests" / "load" / "locustfile.py")),
            *("--loglevel", "ERROR", "--users", str(scenario.users)),
            *("--spawn-rate", str(max(1.0, scenario.users / max(scenario.ramp_seconds, 1)))),
            *("--run-time", f"{scenario.seconds:.0f}s", "--stop-timeout", "0"),
            *scenario.classes,
        ]

    def _told(self, seen: Observed, users: int) -> None:
        """Show the progress."""
        now = time.time()
        if now - self._said < _SAMPLE_SECONDS:
            return
        last = seen.since(max(self._said, seen.began))
        self._said = now
        self._say(
            f"{seen.seconds:5.0f} of {self._scenario.seconds:.0f} s  {users:6,} users  "
            f"{last.rate:7,.0f} requests/s  P95 {Times.of(last.calls).p95:6,.0f} ms  "
            f"{last.errors.total():,} errors"
        )

    async def _sample(self, pids: Mapping[str, int]) -> None:
        while True:
            used = await asyncio.to_thread(usage, pids)
            memory, connections = 0, 0
            if self._scenario.name == "soak":
                found: Any = await self._redis.info("memory")
                memory = int(found["used_memory"])
                connections = (await self._stack.fetch(_CONNECTIONS))[0][0]
            self._samples.append(flat.Sample(time.time(), used, memory, connections))
            await asyncio.sleep(_SAMPLE_SECONDS)

    def _measured(self, begins: float) -> list[flat.Sample]:
        """Return the samples of the measured time."""
        return [one for one in self._samples if one.at >= begins] or self._samples[-1:]

    def _processes(self, begins: float) -> list[str]:
        samples = self._measured(begins)
        first, last = samples[0], samples[-1]
        return report.processes(first.usage, last.usage, last.at - first.at)

    def _add_connections(
        self, found: Result, before: Mapping[str, Usage], generator: Generator
    ) -> None:
        """Add the memory of a connection, and whether all were open at the end."""
        wanted = self._scenario.users
        names = [name for name in before if name.startswith("api ")]
        # The last sample may be of the time when the connections close.
        last = max((one.usage for one in self._samples), key=lambda one: _descriptors(one, names))
        grown = sum(last[name].memory_bytes - before[name].memory_bytes for name in names)
        open_now = _descriptors(last, names) - _descriptors(before, names)
        each = grown / wanted / 1024
        found.lines += [
            "",
            f"connections: {generator.users:,} open at a time; descriptors: {open_now:,} more",
            f"memory of a connection, and of its user's token: {each:.1f} KiB in the API",
        ]
        if generator.users < wanted:
            found.missed.append(f"Only {generator.users:,} of {wanted:,} connections were open.")


def _descriptors(used: Mapping[str, Usage], names: Sequence[str]) -> int:
    return sum(used[name].descriptors for name in names)
