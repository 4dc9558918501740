"""The plans of statements inside functions, as EXPLAIN ANALYZE shows them."""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

_MESSAGE = re.compile(r"duration: ([\d.]+) ms +plan:\n")
_SETTINGS = {
    "log_min_duration": "0",
    "log_nested_statements": "on",
    "log_analyze": "on",
    "log_timing": "off",
    "log_format": "json",
}


@dataclass(frozen=True)
class Plan:
    """One statement's plan, which has run in so many milliseconds, without being planned."""

    statement: str
    milliseconds: float
    root: dict[str, Any]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """All nodes that ran."""
        return [one for one in _below(self.root) if one["Actual Loops"]]

    def rows_read(self, table: str) -> int:
        """Return how many rows were read of a table, including those that a filter removed."""
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return sum(
            round((one["Actual Rows"] + sum(one.get(name, 0) for name in removed)) * loops)
            for one in self.nodes
            for loops in [one["Actual Loops"]]
            if one.get("Relation Name") == table
        )


@contextlib.asynccontextmanager
async def recorded(sql: asyncpg.Connection) -> AsyncIterator[list[Plan]]:
    """Record the plans of all statements of a superuser's connection, also after `set role`."""
    plans: list[Plan] = []

    def record(_: object, message: Any) -> None:
        if found := _MESSAGE.match(message.message):
            plan = json.loads(message.message[found.end() :])
            plans.append(Plan(plan["Query Text"], float(found[1]), plan["Plan"]))

    await sql.execute("load 'auto_explain'")
    for name, value in _SETTINGS.items():
        await sql.execute(f"set auto_explain.{name} = {value}")
    await sql.execute("set client_min_messages = log")
    sql.add_log_listener(record)
    try:
        yield plans
    finally:
        sql.remove_log_listener(record)
        await sql.execute("reset role")
        await sql.execute("reset client_min_messages")
        await sql.execute("set auto_explain.log_min_duration = -1")


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for one in node.get("Plans", ()):
        yield from _below(one)
