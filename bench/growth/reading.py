"""What a statement reads: its time, and the plans of everything that it runs, triggers included."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import asyncpg

from bench.errors import BenchError
from bench.growth.fill import row_id
from bench.growth.statement import Statement

_RUNS: Final = 3
_SCANS: Final = frozenset(
    {"Seq Scan", "Sample Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan"}
)
_SORTS: Final = frozenset({"Sort", "Incremental Sort"})
# auto_explain sends the plans of nested statements, too; it needs a superuser.
_EXPLAINED: Final = """
load 'auto_explain';
set client_min_messages = notice;
set auto_explain.log_level = notice;
set auto_explain.log_format = json;
set auto_explain.log_nested_statements = on;
set auto_explain.log_analyze = on;
set auto_explain.log_buffers = on;
set auto_explain.log_timing = off;
set auto_explain.log_min_duration = -1;
"""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The figures of a statement: rows returned, read and sorted, pages of 8 KB, median time.

    `whole` names the tables of which more than the bound was read by a sequential scan.
    """

    statement: Statement
    returned: int
    read: int
    sorted: int
    blocks: int
    milliseconds: float
    whole: tuple[str, ...] = field(default=())

    @property
    def too_many(self) -> bool:
        """Whether it reads or sorts more rows than its bound."""
        return max(self.read, self.sorted) > self.statement.rows

    @property
    def too_slow(self) -> bool:
        """Whether it takes longer than its bound."""
        return self.milliseconds > self.statement.milliseconds


class Reader:
    """Reads statements, on a superuser's connection to a filled database."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._plans: list[dict[str, Any]] = []

    async def begin(self) -> None:
        """Have the server send plans. Raises BenchError where auto_explain is missing."""
        try:
            await self._connection.execute(_EXPLAINED)
        except asyncpg.UndefinedFileError:
            raise BenchError("This PostgreSQL has no auto_explain.") from None
        self._connection.add_log_listener(self._receive)

    async def read(self, statement: Statement) -> Reading:
        """Run a statement a few times, each time rolled back."""
        times = [await self._run(statement) for _ in range(1 + _RUNS)][1:]
        self._plans.clear()
        returned = await self._run(statement, explained=True)
        plans, self._plans = self._plans, []
        nodes = [node for plan in plans for node in _nodes(plan["Plan"])]
        scans = [(node, _read(node)) for node in nodes if node["Node Type"] in _SCANS]
        return Reading(
            statement=statement,
            returned=round(returned),
            read=sum(rows for _, rows in scans),
            sorted=max((_sorted(node) for node in nodes if node["Node Type"] in _SORTS), default=0),
            blocks=max((_blocks(plan["Plan"]) for plan in plans), default=0),
            milliseconds=median(times),
            whole=tuple(
                sorted(
                    {
                        node["Relation Name"]
                        for node, rows in scans
                        if node["Node Type"] == "Seq Scan" and rows > statement.rows
                    }
                )
            ),
        )

    async def _run(self, statement: Statement, *, explained: bool = False) -> float:
        """Return the milliseconds or, explained, the number of rows returned."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if statement.setup:
                await self._connection.execute(statement.setup)
            claims: dict[str, Any] = {"role": statement.role}
            if statement.admin:
                claims["app_metadata"] = {"role": "admin"}
            if statement.user is not None:
                claims |= {
                    "sub": str(row_id("user", statement.user)),
                    "session_id": str(row_id("session", statement.user)),
                }
            await self._connection.execute(
                "select set_config('request.jwt.claims', $1, true)", json.dumps(claims)
            )
            if explained:
                await self._connection.execute("set local auto_explain.log_min_duration = 0")
            await self._connection.execute(f"set local role {statement.role}")
            began = time.perf_counter()
            status = await self._connection.execute(statement.sql)
            taken = 1000 * (time.perf_counter() - began)
            return float(status.split()[-1]) if explained else taken
        finally:
            await transaction.rollback()

    def _receive(self, _: object, message: Any) -> None:
        _, found, plan = message.message.partition("plan:\n")
        if found:
            self._plans.append(json.loads(plan))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _read(node: dict[str, Any]) -> int:
    """Return the rows that a scan looked at, over all its loops."""
    looked_at = sum(
        float(node.get(name, 0))
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    return round(looked_at * float(node["Actual Loops"]))


def _sorted(node: dict[str, Any]) -> int:
    (child,) = (one for one in node["Plans"] if one["Parent Relationship"] == "Outer")
    return round(float(child["Actual Rows"]) * float(child["Actual Loops"]))


def _blocks(plan: dict[str, Any]) -> int:
    return int(plan.get("Shared Hit Blocks", 0)) + int(plan.get("Shared Read Blocks", 0))
