"""Applies supabase/migrations, and records them where the Supabase CLI does."""

import re
from pathlib import Path
from typing import Final

import asyncpg

_NAME: Final = re.compile(r"(?P<version>\d{14})_(?P<name>\w+)\.sql")
_LOCK: Final = 7_205_759  # any number: whoever migrates this database takes the same
# The Supabase CLI's own table, so that both can be used on one database.
_RECORD: Final = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text primary key, statements text[], name text
);
"""


class MigrationError(Exception):
    """A migration cannot be applied; the message is one sentence that names the file."""


async def migrate(database_url: str, folder: Path) -> list[str]:
    """Apply the migrations that the database does not have yet; return their files' names.

    Each runs in a transaction of its own, in the order of their versions. Two callers at the same
    time wait for each other.
    Raises MigrationError, also when the database cannot be reached.
    """
    files = _files(folder)
    try:
        connection = await asyncpg.connect(database_url)
    except (OSError, asyncpg.PostgresError) as error:
        raise MigrationError(f"The database of DATABASE_URL cannot be reached: {error}") from None
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_RECORD)
        rows = await connection.fetch("select version from supabase_migrations.schema_migrations")
        applied = {row["version"] for row in rows}
        if gone := sorted(applied.difference(files)):
            raise MigrationError(
                f"The database has migration {gone[0]}, and {folder.name}/ has no file of it: "
                "this is an older checkout, or the file was renamed."
            )
        todo = [file for version, file in files.items() if version not in applied]
        for file in todo:
            await _apply(connection, file)
        return [file.name for file in todo]
    finally:
        await connection.close()


def _files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in sorted(folder.glob("*.sql")):
        parts = _NAME.fullmatch(file.name)
        if parts is None:
            raise MigrationError(
                f"{file.name} is not named like a migration: 14 digits, _, a name, .sql."
            )
        other = files.setdefault(parts["version"], file)
        if other is not file:
            raise MigrationError(f"{other.name} and {file.name} have the same version: rename one.")
    return files


async def _apply(connection: asyncpg.Connection, file: Path) -> None:
    text = file.read_text(encoding="utf-8")  # noqa: ASYNC240  # nothing else runs meanwhile
    parts = _NAME.fullmatch(file.name)
    assert parts is not None  # _files took only such names
    try:
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "insert into supabase_migrations.schema_migrations values ($1, $2, $3)",
                parts["version"],
                [text],
                parts["name"],
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"Migration {file.name}{_line(text, error)} failed: {error}") from None


def _line(text: str, error: asyncpg.PostgresError) -> str:
    position = str(getattr(error, "position", None) or "")
    if not position.isdigit():
        return ""
    return f", line {text.count(chr(10), 0, int(position)) + 1},"
