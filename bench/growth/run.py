"""`./app bench --growth`: fills a database, reads each statement, reports those over a bound."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.errors import BenchError
from bench.growth.fill import Sizes, fill
from bench.growth.reading import Reader, Reading
from bench.growth.statement import Statement
from bench.growth.statements import statements
from devstack.testing import Servers, prepare
from migrate import migrate

Say = Callable[[str], None]
_NAME: Final = 44


@dataclass(frozen=True)
class Growth:
    """The readings of all statements in one database."""

    sizes: Sizes
    readings: Sequence[Reading]

    @property
    def missed(self) -> list[Reading]:
        """Those that miss a bound."""
        return [one for one in self.readings if one.too_many or one.too_slow]

    def table(self) -> list[str]:
        """Return the report for people."""
        head = ("rows", "read", "bound", "sorted", "pages", "ms", "bound")
        widths = (8, 9, 9, 8, 8, 9, 8)
        lines = [" ".join([f"{'statement':<{_NAME}}", *map(_right, head, widths)])]
        for one in self.readings:
            cells = (
                f"{one.returned:,}",
                f"{one.read:,}",
                f"{one.statement.rows:,}",
                f"{one.sorted:,}",
                f"{one.blocks:,}",
                f"{one.milliseconds:.2f}",
                f"{one.statement.milliseconds:g}",
            )
            line = " ".join([f"{one.statement.name:<{_NAME}}", *map(_right, cells, widths)])
            lines.append(line + _verdict(one))
        return [*lines, "", self._end()]

    def lines(self) -> list[str]:
        """Return JSON Lines: one for each statement."""
        return [
            json.dumps(
                {
                    "statement": one.statement.name,
                    "rows": one.returned,
                    "read": one.read,
                    "read_bound": one.statement.rows,
                    "sorted": one.sorted,
                    "pages": one.blocks,
                    "ms": round(one.milliseconds, 3),
                    "ms_bound": one.statement.milliseconds,
                    "ok": not (one.too_many or one.too_slow),
                }
            )
            for one in self.readings
        ]

    def _end(self) -> str:
        rows = ", ".join(f"{number:,} {name}" for name, number in vars(self.sizes).items())
        return f"{len(self.readings)} statements, {len(self.missed)} over a bound; {rows}"


async def read_all(
    connection: asyncpg.Connection, sizes: Sizes, say: Say, only: Sequence[str] = ()
) -> Growth:
    """Read every statement in a filled database; `only` are beginnings of their names.

    Raises BenchError where this PostgreSQL cannot show the plans of nested statements, and where
    no statement has such a name.
    """
    reader = Reader(connection)
    await reader.begin()
    readings = []
    for one in await chosen(connection, sizes, only):
        readings.append(await reader.read(one))
        say(f"{one.name:<{_NAME}} {readings[-1].milliseconds:9.2f} ms")
    return Growth(sizes, readings)


async def chosen(
    connection: asyncpg.Connection, sizes: Sizes, only: Sequence[str]
) -> list[Statement]:
    """Return the statements whose names begin so, or all. Raises BenchError if there is none."""
    found = await known(connection, sizes)
    for begin in only:
        if not any(one.name.startswith(begin) for one in found):
            names = sorted({one.name.split()[0] for one in found})
            raise BenchError(f"No statement begins with {begin!r}. There are: {', '.join(names)}.")
    return [one for one in found if not only or one.name.startswith(tuple(only))]


async def known(connection: asyncpg.Connection, sizes: Sizes) -> list[Statement]:
    """Return all statements, with those of each rule of retention and each total."""
    rules = await connection.fetch("select name from public.retention_rules()")
    totals = await connection.fetch("select name from public.kept_totals()")
    return statements(sizes, [row["name"] for row in rules], [row["name"] for row in totals])


def measure_growth(root: Path, sizes: Sizes, say: Say, only: Sequence[str] = ()) -> Growth:
    """Fill a separate database, of which nothing remains, and read every statement.

    Raises BenchError as `read_all` does, StackError if a server of the stack does not start.
    """
    say("starting the stack")
    with Servers() as servers:
        return asyncio.run(_measure(servers.postgres_url, root, sizes, say, only))


async def _measure(url: str, root: Path, sizes: Sizes, say: Say, only: Sequence[str]) -> Growth:
    connection = await asyncpg.connect(url)
    try:
        await prepare(connection)
        await migrate(url, root / "supabase" / "migrations")
        await chosen(connection, sizes, only)  # a wrong name must not cost the time of filling
        await fill(connection, sizes, say)
        return await read_all(connection, sizes, say, only)
    finally:
        await connection.close()


def _right(cell: str, width: int) -> str:
    return f"{cell:>{width}}"


def _verdict(one: Reading) -> str:
    wrong = ["rows"] * one.too_many + ["ms"] * one.too_slow
    whole = f" (all of {', '.join(one.whole)})" if one.whole else ""
    return f"  over: {', '.join(wrong)}{whole}" if wrong else ""
