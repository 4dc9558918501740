"""Faults under load: a part is killed, errors are counted until it is back, nothing is lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.scale.observed import Observed, Seen
from bench.scale.report import grid
from bench.scale.stack import Stack, wait_for

Say = Callable[[str], None]

_AWAY_SECONDS: Final = 5.0
_RESTART_SECONDS: Final = 1.0  # as a supervisor waits
_SETTLE_SECONDS: Final = 120.0
_CALM: Final = 0.25  # of the time for a fault, at its end: there must be no error
_REFUSED: Final = ("503", "504")  # with Retry-After, as documented
_NO_ANSWER: Final = (
    "ConnectionRefusedError", "ConnectionResetError", "HTTPConnectionClosed", "BrokenPipeError",
)  # fmt: skip

_NOTIFIED: Final = """
select one.content ->> 'post_id' as post, count(*) as runs
from outbox.events e
cross join lateral jsonb_array_elements(e.items) with ordinality as one (content, place)
join jobs.runs r on r.event_id = e.id and r.item = place - 1 and r.state = 'succeeded'
where e.topic = 'post_published' group by 1
"""
_DROP: Final = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where usename in ('authenticator', 'supabase_auth_admin')
"""


@dataclass(kw_only=True)
class Fault:
    """A fault from `began` until the next one; only these kinds of errors are documented."""

    name: str
    began: float
    allowed: tuple[str, ...]
    calm: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    last: float | None = None

    def judge(self, seen: Sequence[Seen], until: float) -> None:
        """Count the errors of its time."""
        for one in seen:
            if self.began <= one.at < until and not one.good:
                self.errors[one.outcome] += 1
                self.last = max(self.last or 0.0, one.at)
        self.calm = until - _CALM * (until - self.began)

    @property
    def row(self) -> tuple[str, ...]:
        """The row of the table."""
        recovered = "at once" if self.last is None else f"{self.last - self.began:.1f} s"
        kinds = ", ".join(f"{times:,} of {what}" for what, times in self.errors.most_common())
        return (self.name, f"{self.errors.total():,}", recovered, kinds or "none")

    @property
    def missed(self) -> list[str]:
        """A sentence for each bound that it broke."""
        other = [what for what in self.errors if not what.startswith(self.allowed or ("-",))]
        found = []
        if other:
            found.append(f"{self.name}: errors that no page documents: {', '.join(sorted(other))}.")
        if self.last is not None and self.last > self.calm:
            found.append(f"{self.name}: errors until {self.last - self.began:.0f} s after it.")
        return found


class Faults:
    """All faults of a run, one after the other; `missed` has a sentence for each broken bound."""

    def __init__(self, stack: Stack, say: Say) -> None:
        self._stack, self._say = stack, say
        self._faults: list[Fault] = []
        self._planned = 0
        self.missed: list[str] = []

    async def run(self, begins: float, seconds: float) -> None:
        """Do one after the other, from a time of day on; each has an equal part of the seconds."""
        steps: list[tuple[str, Callable[[], Awaitable[object]], tuple[str, ...]]] = [
            ("no fault", self._nothing, ()),
            ("Redis (cache) away 5 s", lambda: self._crash("cache", _AWAY_SECONDS), _REFUSED),
            ("Redis (broker) away 5 s", lambda: self._crash("broker", _AWAY_SECONDS), ()),
            ("API process SIGKILLed", lambda: self._kill("api"), (*_REFUSED, *_NO_ANSWER)),
            ("relay SIGKILLed", lambda: self._kill("relay"), ()),
            ("worker SIGKILLed", lambda: self._kill("worker"), ()),
            ("Postgres connections cut", self._cut, _REFUSED),
        ]
        self._planned = len(steps)
        each = seconds / len(steps)
        for number, (name, do, allowed) in enumerate(steps):
            await asyncio.sleep(begins + number * each - time.time())
            self._say(f"fault: {name}")
            self._faults.append(Fault(name=name, began=time.time(), allowed=allowed))
            await do()

    async def table(self, seen: Observed) -> list[str]:
        """Return the table, after all that was written has had its effect."""
        ends = [*(fault.began for fault in self._faults[1:]), seen.ended]
        for fault, end in zip(self._faults, ends, strict=True):
            fault.judge(seen.seen, end)
            self.missed += fault.missed
        if len(self._faults) < self._planned:
            self.missed.append(f"Only {len(self._faults)} of {self._planned} faults were made.")
        lost, late = await self._lost(seen.kept)
        rows = [("fault", "errors", "last error after", "kinds")]
        rows += [fault.row for fault in self._faults]  # type: ignore[misc]
        lines = grid(rows)
        lines += [
            "",
            f"acknowledged posts: {len(seen.kept):,}; lost: {lost:,}; unsettled: {late:,}",
        ]
        if lost or late:
            self.missed.append(
                f"{lost:,} acknowledged posts are lost, {late:,} events or runs wait."
            )
        return lines

    async def _lost(self, kept: Sequence[str]) -> tuple[int, int]:
        """Return how many acknowledged posts have had no notification, and what still waits."""
        self._say("waiting until all is settled")
        late = await self._stack.settled(_SETTLE_SECONDS)
        notified = {row["post"] for row in await self._stack.fetch(_NOTIFIED)}
        return len(set(kept) - notified), late

    async def _nothing(self) -> None:
        """Make no fault: what the others are compared with."""

    async def _crash(self, server: str, away: float) -> None:
        await asyncio.to_thread(self._stack.servers.crash, server, away_seconds=away)

    async def _kill(self, kind: str) -> None:
        one = next(one for one in self._stack.processes if one.kind == kind)
        await asyncio.to_thread(self._stack.kill, one)
        await asyncio.sleep(_RESTART_SECONDS)
        self._stack.replace_ended()
        if kind == "api":
            await asyncio.to_thread(wait_for, self._stack.api_urls[0])

    async def _cut(self) -> None:
        await self._stack.fetch(_DROP)
