"""The soak: asks for work, kills at random, waits until all is settled, and counts."""

import asyncio
import contextlib
import json
import logging
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.soak.stack import Stack, running

Say = Callable[[str], None]

_TURN_SECONDS: Final = 0.25
_BATCH: Final = 40
_WAITING: Final = 400
"""So many jobs wait at the same time, so that relays have work until the end."""
_PATIENCE_SECONDS: Final = 400.0
"""Without any progress for so long, what is missing counts as lost: more than all timeouts."""
# Most of what is killed is a worker: it holds runs. The order is random.
_TARGETS: Final = ("worker", "relay", "child", "broker", "worker", "beat", "child", "worker")
_TOPICS: Final = {
    "mail": "soak_mail_asked",
    "compute": "soak_sum_asked",
    "welcome": "soak_welcome_asked",
}
_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

_DONE: Final = "select count(*) from public.soak_effects where subject not like 'tick/%'"
_UNSETTLED: Final = """
select (select count(*) from jobs.runs where finished_at is null)
  + (select count(*) from outbox.events where delivered_at is null) as number
"""
_SUBJECTS: Final = """
select subject, count(*) as keys, sum(calls) as calls from public.soak_effects group by subject
"""
_SLOTS: Final = """
select 'tick/' || to_char((i ->> 'slot')::timestamptz at time zone 'UTC',
  'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') as subject
from outbox.events, jsonb_array_elements(items) i where topic = 'job_due'
"""
_STARTS: Final = """
select split_part(subject, '/', 1) as kind, count(*) as number from public.soak_starts group by 1
"""
_STARTED_AFTER_SUCCESS: Final = """
select count(*) as number from public.soak_starts s
join jobs.runs r on r.id = s.key and r.state = 'succeeded' and s.at > r.finished_at
"""
_FAILED: Final = """
select job, error, count(*) as number from jobs.runs where state <> 'succeeded' group by 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `./app soak`."""

    root: Path
    jobs: int = 10_000
    kills: int = 50
    postgres_restarts: int = 0
    workers: int = 3
    seed: int = 0


@dataclass(kw_only=True)
class Kind:
    """The figures of one kind of job."""

    jobs: int
    starts: int = 0
    effects: int = 0
    lost: int = 0
    twice: int = 0
    repeated_calls: int = 0


@dataclass(kw_only=True)
class Result:
    """The figures of a soak; `failed` names runs that did not succeed."""

    kinds: dict[str, Kind]
    kills: Counter[str] = field(default_factory=Counter)
    ended_by_themselves: int = 0
    started_after_success: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0
    seed: int = 0

    @property
    def lost(self) -> int:
        """The number of jobs without their effect."""
        return sum(kind.lost for kind in self.kinds.values())

    @property
    def twice(self) -> int:
        """The number of jobs whose effect happened twice, or that ran again after their success."""
        return sum(kind.twice for kind in self.kinds.values()) + self.started_after_success

    @property
    def good(self) -> bool:
        """Whether nothing was lost, and nothing happened twice."""
        return not self.lost and not self.twice


def soak(options: Options, say: Say) -> Result:
    """Run the soak; `say` gets progress messages. Raises StackError if a server does not start."""
    # The gateway would print each call and connection that a crash of Postgres has cut off.
    for name in ("uvicorn.error", "asyncpg"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    say("starting the stack")
    with running(options.root) as stack:
        for kind in ("relay", "beat"):
            for _ in range(2):
                stack.start(kind)
        for _ in range(options.workers):
            stack.start("worker")
        result = asyncio.run(Soak(stack, options, say).run())
        if result.good:
            shutil.rmtree(stack.logs)
        else:
            say(f"the logs of all processes are in {stack.logs}")
        return result


def drawn(options: Options, dice: random.Random) -> list[tuple[int, str]]:
    """Draw what is killed, and after how many effects: the first of them is the last entry."""
    targets = [_TARGETS[number % len(_TARGETS)] for number in range(options.kills)]
    targets += ["postgres"] * options.postgres_restarts
    dice.shuffle(targets)
    places = sorted(dice.sample(range(options.jobs * 9 // 10), len(targets)))
    return list(zip(places, targets, strict=True))[::-1]


class Soak:
    """One soak on a running stack; `result` has its figures."""

    def __init__(self, stack: Stack, options: Options, say: Say) -> None:
        self._stack, self._options, self._say = stack, options, say
        self._dice = random.Random(options.seed)  # noqa: S311 - it must be repeatable
        self._asked = self._batches = 0
        self.result = Result(kinds={}, seed=options.seed)
        self._due = drawn(options, self._dice)

    async def run(self) -> Result:
        """Ask for all jobs, kill, wait, and return the figures."""
        began = progress = time.monotonic()
        done, beats = 0, True
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            self.result.ended_by_themselves += self._stack.replace_ended()
            with contextlib.suppress(*_AWAY):
                before, done = done, (await self._stack.fetch(_DONE))[0][0]
                if done != before:
                    progress = time.monotonic()
                await self._ask(done)
                await self._kill(done)
                if done >= self._options.jobs and not self._due:
                    if beats:
                        self._stack.stop("beat")  # no more slots
                        beats = False
                    elif not (await self._stack.fetch(_UNSETTLED))[0][0]:
                        break
            if time.monotonic() - progress > _PATIENCE_SECONDS:
                self._say(f"no progress for {_PATIENCE_SECONDS:.0f} s: what is missing is lost")
                break
        self.result.seconds = time.monotonic() - began
        await self.count()
        return self.result

    async def _ask(self, done: int) -> None:
        """Ask for more jobs while few wait."""
        while self._asked < self._options.jobs and self._asked - done < _WAITING:
            numbers = range(self._asked, min(self._asked + _BATCH, self._options.jobs))
            wanted: dict[str, list[dict[str, int]]] = {}
            for number in numbers:
                wanted.setdefault(_kind(number), []).append({"number": number})
            # Twice, as two events: the job runs once for each number.
            twice = [("welcome", wanted["welcome"])] if "welcome" in wanted else []
            puts = [
                ("select outbox.put($1, $2)", (_TOPICS[kind], json.dumps(items)))
                for kind, items in [*wanted.items(), *twice]
            ]
            with contextlib.suppress(asyncpg.UniqueViolationError):  # it was committed before
                await self._stack.execute(
                    ("insert into public.soak_batches values ($1)", (self._batches,)), *puts
                )
            self._batches += 1
            self._asked = numbers.stop

    async def _kill(self, done: int) -> None:
        """Kill what is due, one at a time."""
        if not self._due or self._due[-1][0] > done:
            return
        _, target = self._due[-1]
        if target == "child":
            if not await self._stack.kill_child(self._dice):
                return
        elif target in {"broker", "postgres"}:
            await self._stack.crash(target)
        else:
            self._stack.kill_any(target, self._dice)
        self._due.pop()
        self.result.kills[target] += 1
        killed = self.result.kills.total()
        self._say(f"{done:6} of {self._options.jobs} done, kill {killed}: {target}")

    async def count(self) -> None:
        """Count what the jobs have recorded, into `result`."""
        result, stack = self.result, self._stack
        expected = [f"{_kind(number)}/{number}" for number in range(self._options.jobs)]
        expected += {row["subject"] for row in await stack.fetch(_SLOTS)}
        found = {row["subject"]: row for row in await stack.fetch(_SUBJECTS)}
        starts = {row["kind"]: row["number"] for row in await stack.fetch(_STARTS)}
        for subject in expected:
            kind = subject.partition("/")[0]
            figures = result.kinds.setdefault(kind, Kind(jobs=0, starts=starts.get(kind, 0)))
            figures.jobs += 1
            row: Any = found.get(subject)
            if row is None:
                figures.lost += 1
                continue
            figures.effects += row["keys"]
            figures.twice += row["keys"] > 1
            figures.repeated_calls += row["calls"] - row["keys"]
        result.started_after_success = (await stack.fetch(_STARTED_AFTER_SUCCESS))[0][0]
        result.failed = [
            f"{row['number']} of {row['job']}: {row['error']}" for row in await stack.fetch(_FAILED)
        ]


def _kind(number: int) -> str:
    return ("mail", "mail", "compute", "welcome")[number % 4]
