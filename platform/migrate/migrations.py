"""Applies supabase/migrations, with the same records as the Supabase CLI.

Both can be mixed: they share file names, order and the table supabase_migrations.schema_migrations.
A hash of each applied file is stored beside that, in file_hashes; the CLI ignores that table.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

_FILE_NAME: Final = re.compile(r"(\d{14})_(.+)\.sql")
_LOCK: Final = 7_205_759  # any number that all migrators of this database share
_HISTORY: Final = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text primary key, statements text[], name text
);
"""
# No foreign key: the CLI truncates its own table, which a reference would forbid.
_HASHES: Final = """
create table if not exists supabase_migrations.file_hashes (
  version text primary key, hash text not null
);
"""
# Tokens in which a semicolon does not end a statement, and the semicolon that does. An unclosed
# token extends to the end of the text: repeated searches for its end would take long.
_TOKEN: Final = re.compile(
    r"""--[^\n]* | /\*(?:.*?\*/|.*) | [eE]'(?:[^'\\]|\\.|'')*+(?:'|.*)
    | '(?:[^']|'')*+(?:'|\Z) | "(?:[^"]|"")*+(?:"|\Z)
    | (?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$)(?:.*?(?P=tag)|.*) | (?P<end>;)""",
    re.VERBOSE | re.DOTALL,
)


class MigrationError(Exception):
    """A migration cannot be applied; the message is one sentence that names the file."""


class HistoryError(MigrationError):
    """The database has applied other migrations than those of the folder."""


@dataclass(frozen=True)
class Migration:
    """One file of the folder: 20261124000001_profiles.sql has that version and name `profiles`."""

    version: str
    name: str
    path: Path
    sql: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hex, independent of line endings."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(database_url: str, folder: Path) -> list[str]:
    """Apply the missing migrations; return their files' names.

    Each runs in its own transaction, in the order of their versions. Concurrent callers wait for
    each other. Raises MigrationError; migrations before the failed one stay applied. Raises
    HistoryError, and applies nothing, if an applied file is missing or was edited.
    """
    migrations = read_folder(folder)
    try:
        connection = await asyncpg.connect(database_url, statement_cache_size=0, timeout=10)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(
            f"The database of DATABASE_URL cannot be reached: {str(error) or 'no answer'}"
        ) from None
    try:
        try:
            await _require_history(connection, migrations, folder)
        except asyncpg.PostgresError as error:
            raise MigrationError(
                f"The history of migrations cannot be read or written: {error.args[0]}"
            ) from None
        return [item.path.name for item in migrations if await _apply(connection, item)]
    finally:
        await connection.close()


def read_folder(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises MigrationError for a file name without a version, and for a duplicate version.
    """
    found: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(
                f"{path.name} is not named like a migration: 14 digits, _, a name, .sql."
            )
        version, name = match.groups()
        if version in found:
            raise MigrationError(
                f"{found[version].path.name} and {path.name} have the same version: rename one."
            )
        found[version] = Migration(version, name, path, path.read_text(encoding="utf-8"))
    return list(found.values())


def split_statements(sql: str) -> list[str]:
    """Return the statements of a script, without their semicolons, for the history table."""
    ends = [match.start() for match in _TOKEN.finditer(sql) if match["end"]]
    starts = [0, *(end + 1 for end in ends)]
    parts = (sql[start:end].strip() for start, end in zip(starts, [*ends, len(sql)], strict=True))
    return [part for part in parts if part]


async def _require_history(
    connection: asyncpg.Connection, migrations: list[Migration], folder: Path
) -> None:
    files = {migration.version: migration for migration in migrations}
    async with _exclusively(connection):
        # Check first, because "if not exists" still needs the privilege to create.
        for table, create in (("schema_migrations", _HISTORY), ("file_hashes", _HASHES)):
            if await connection.fetchval(
                "select to_regclass($1) is null", f"supabase_migrations.{table}"
            ):
                await connection.execute(create)
        rows = await connection.fetch(
            "select version, name, hash from supabase_migrations.schema_migrations "
            "left join supabase_migrations.file_hashes using (version) order by version"
        )
        for row in rows:
            if row["version"] not in files:
                raise HistoryError(
                    f"The database has migration {row['version']}_{row['name'] or ''}, and "
                    f"{folder.name}/ has no file of it: this is an older checkout, or the file "
                    "was renamed."
                )
        applied = [(files[row["version"]], row["hash"]) for row in rows]
        edited = [one.path.name for one, known in applied if known not in {None, one.hash}]
        if edited:
            raise HistoryError(
                f"{', '.join(edited)} {'was' if len(edited) == 1 else 'were'} edited after this "
                "database had applied it: undo the edit, and write a new migration instead."
            )
        for one, known in applied:
            if known is None:  # applied by the CLI, or before hashes were stored
                await _keep_hash(connection, one)


async def _keep_hash(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "insert into supabase_migrations.file_hashes (version, hash) values ($1, $2) "
        "on conflict (version) do update set hash = excluded.hash",
        migration.version,
        migration.hash,
    )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> bool:
    try:
        async with _exclusively(connection):
            if await connection.fetchval(
                "select exists (select from supabase_migrations.schema_migrations "
                "where version = $1)",
                migration.version,
            ):
                return False
            await connection.execute(migration.sql)
            if not connection.is_in_transaction():
                raise MigrationError(
                    f"{migration.path.name} ends its transaction: remove BEGIN, COMMIT and "
                    "ROLLBACK; each migration has its own transaction."
                )
            # A SET in one migration must not affect the next one.
            await connection.execute("reset role; reset all")
            await connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) "
                "values ($1, $2, $3)",
                migration.version,
                migration.name,
                split_statements(migration.sql),
            )
            await _keep_hash(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationError(_explain(migration, error)) from None
    return True


@asynccontextmanager
async def _exclusively(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Run a transaction while no other migrator runs.

    The lock belongs to the transaction, not to the session: that also works behind a pooler.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        yield


def _explain(migration: Migration, error: asyncpg.PostgresError) -> str:
    position = str(getattr(error, "position", None) or "")
    line = ""
    if position.isdigit():
        line = f", line {migration.sql.count(chr(10), 0, int(position) - 1) + 1},"
    more = getattr(error, "detail", None) or getattr(error, "hint", None)
    reason = f"{error.args[0]}" + (f" ({more})" if more else "")
    return f"Migration {migration.path.name}{line} failed: {reason}"
