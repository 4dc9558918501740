"""`./app bench --readers N`: readers of page 1 while one writer writes a post a second (G4)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.crowd import Plan, Seen
from bench.driver import run_program
from bench.growth.fill import Sizes, fill
from bench.processors import Processors
from bench.system import System, running

Say = Callable[[str], None]
BOUND_MS: Final = 50.0
"""The bound of G4 for the P95 of the reads, in milliseconds."""
_GOOD: Final = frozenset({"200 HIT", "200 MISS", "200 STALE", "200 BYPASS"})
_UNLIMITED: Final = str(10**12)
# What the page does not read is small.
_BESIDE: Final = {"users": 1000, "events": 1000, "runs": 1000, "waiting": 100}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `./app bench --readers`; each reader reads every `think_seconds`."""

    root: Path
    readers: int = 1000
    think_seconds: float = 2.0
    write_seconds: float = 1.0
    seconds: float = 30.0
    posts: int = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """What readers and writer saw, and whether that is as it must be."""

    options: Options
    seen: Seen

    @property
    def wrong(self) -> list[str]:
        """What is wrong, whatever the times are: an answer that is too old, or not 200."""
        seen = self.seen
        odd = {kind: n for kind, n in seen.answers.items() if kind not in _GOOD}
        return [
            *([f"{seen.too_old} answers were too old"] * bool(seen.too_old)),
            *([f"the writer missed {seen.own_missed} of its own posts"] * bool(seen.own_missed)),
            *(f"{n} answers were {kind}" for kind, n in odd.items()),
        ]

    @property
    def missed(self) -> bool:
        """Whether something is wrong, or the P95 of the reads over its bound."""
        return bool(self.wrong) or self.seen.reads[1] > BOUND_MS

    def table(self) -> list[str]:
        """Return the report for people."""
        seen, asked = self.seen, self.options
        names = ("P50 ms", "P95 ms", "P99 ms", "max ms", "bound")
        lines = [" ".join([f"{'':<28}", *(f"{name:>9}" for name in names)])]
        rows = [
            (f"{seen.numbers['reads']:,} reads", seen.reads, f"{BOUND_MS:g}"),
            (f"{seen.numbers['writes']:,} writes", seen.writes, ""),
            ("the writer's own reads", seen.own_reads, ""),
            ("sent late", seen.late, ""),
        ]
        for name, times, bound in rows:
            cells = " ".join(f"{one:9.1f}" for one in times)
            lines.append(f"{name:<28} {cells} {bound:>9}".rstrip())
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in seen.answers.items())
        verdict = "; ".join(self.wrong) or "no answer was too old, the writer read all its posts"
        slow = f"; the P95 of the reads is over {BOUND_MS:g} ms"
        return [
            *lines,
            "",
            (
                f"{asked.readers:,} readers, each every {asked.think_seconds:g} s; "
                f"a write every {asked.write_seconds:g} s; {asked.posts:,} posts before"
            ),
            f"answers: {kinds}",
            (
                f"the API used {seen.api_cpu:.0%} of a processor, readers and writer "
                f"{seen.crowd_cpu:.0%} of one that they share with the stack"
            ),
            verdict + (slow if seen.reads[1] > BOUND_MS else ""),
        ]

    def lines(self) -> list[str]:
        """Return it as a line of JSON."""
        return [json.dumps({"readers": asdict(self.seen), "ok": not self.missed})]


def measure_readers(options: Options, say: Say) -> Outcome:
    """Fill a separate system, let them read and write, and return what they saw.

    Raises BenchError if the API does not answer, StackError if a server of the stack does not
    start.
    """
    processors = Processors.divide()
    if processors.note:
        say(processors.note)
    say("starting the stack")
    with running(options.root, processors, posts=1) as system:
        asyncio.run(_fill(system, options.posts, say))
        server = system.api("api", QUOTA_POSTS_PER_DAY=_UNLIMITED, QUOTA_BYTES=_UNLIMITED)
        system.relay()
        say(f"{options.readers:,} readers for {options.seconds:g} s")
        plan = Plan(
            port=server.port,
            pid=server.pid,
            token=system.token,
            readers=options.readers,
            think_seconds=options.think_seconds,
            write_seconds=options.write_seconds,
            seconds=options.seconds,
        )
        seen = run_program("bench.crowd", plan, system.environment())
        return Outcome(options, Seen(**seen))


async def _fill(system: System, posts: int, say: Say) -> None:
    connection = await asyncpg.connect(system.database_url)
    try:
        await fill(connection, Sizes(posts=posts, **_BESIDE), say)
    finally:
        await connection.close()
