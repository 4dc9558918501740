"""Rows of any table, stored without the API."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

NewRow = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def new_row(database: asyncpg.Connection, drop_reads: Callable[[], None]) -> NewRow:
    """Stores a row: `await new_row("notes", user_id=author.id, title="A note")`.

    Returns it as PostgREST would: times and ids are text.
    """

    async def insert(table: str, **values: object) -> dict[str, Any]:
        columns = ", ".join(f'"{name}"' for name in values)
        stored = await database.fetchval(
            f"insert into public.{table} as t ({columns}) "
            f"select {columns} from jsonb_populate_record(null::public.{table}, $1::jsonb) "
            "returning to_jsonb(t)",
            json.dumps(values, default=str),
        )
        drop_reads()
        found: dict[str, Any] = json.loads(stored)
        return found

    return insert
