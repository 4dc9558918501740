"""Applies supabase/migrations, with the same records as the Supabase CLI.

Both can be mixed: they share file names, order and the table supabase_migrations.schema_migrations.
A hash of each applied file is stored beside that, in file_hashes; the CLI ignores that table.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from migrate.files import HistoryError, Migration, MigrationError, read_folder, split_statements

# Any two numbers that all migrators of this database share: one for a whole run of one of them, and
# one for each of its transactions, which also keeps older versions of this module away.
_RUN_LOCK: Final = 7_205_760
_LOCK: Final = 7_205_759
_LONGEST_PAUSE_SECONDS: Final = 30.0
NO_ADDRESS: Final = (
    "DATABASE_URL is no address of a database: postgresql://user:password@host/name, where special "
    "characters of the password are written as %23 for #."
)
_UNDEFINED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)
_NOTHING_APPLIED: Final = "Nothing of it was applied."
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


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The time that a migration may wait for a lock, that of each statement, and its attempts.

    Whoever waits for a lock on a table stops everybody else who uses that table, so a short wait
    that is repeated is better than a long one. 0 is no limit.
    """

    lock_seconds: float = 5.0
    statement_seconds: float = 600.0
    attempts: int = 10
    pause_seconds: float = 1.0  # after the first attempt; it doubles with each


def _silent(_: str) -> None:
    """Say nothing."""


_DEFAULT: Final = Patience()


async def migrate(
    database_url: str,
    folder: Path,
    *,
    patience: Patience = _DEFAULT,
    say: Callable[[str], None] = _silent,
) -> list[str]:
    """Apply the missing migrations; return their files' names.

    Each runs in its own transaction, in the order of their versions. A second call at the same time
    waits for the first one; `say` gets that, each applied file and each wait as a line. Raises
    MigrationError; migrations before the failed one stay applied. Raises HistoryError, and applies
    nothing, if an applied file is missing or was edited.
    """
    migrations = read_folder(folder)
    async with (
        _connected(database_url) as guard,
        _connected(database_url) as connection,
        _alone(guard, say),
    ):
        with _history_errors():
            await _require_history(connection, migrations, folder)
        return [
            one.path.name
            for one in migrations
            if await _apply_patiently(connection, one, patience, say)
        ]


async def pending(database_url: str, folder: Path, *, rehearse: bool = False) -> list[str]:
    """Return the names of the files that `migrate` would apply; change nothing.

    `rehearse` runs them in one transaction, which is rolled back: it holds their locks until the
    last has run. Raises as `migrate` does.
    """
    migrations = read_folder(folder)
    async with _connected(database_url) as connection:
        transaction = connection.transaction(readonly=not rehearse)
        await transaction.start()
        try:
            with _history_errors():
                applied = await _checked_history(connection, migrations, folder)
            missing = [one for one in migrations if one.version not in applied]
            for one in missing if rehearse else []:
                try:
                    await _run(connection, one)
                except asyncpg.PostgresError as error:
                    raise MigrationError(_explain(one, error)) from None
        finally:
            if connection.is_in_transaction():
                await transaction.rollback()
        return [one.path.name for one in missing]


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(database_url, statement_cache_size=0, timeout=10)
    except ValueError:  # its text may have a part of the password
        raise MigrationError(NO_ADDRESS) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(
            f"The database of DATABASE_URL cannot be reached: {str(error) or 'no answer'}"
        ) from None
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _alone(guard: asyncpg.Connection, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Keep other migrators of this database out for a whole run.

    The lock belongs to an open transaction of a connection that does nothing else, not to its
    session: that also works behind a pooler. If that connection is lost, each migration's own lock
    still lets it happen once.
    """
    async with guard.transaction():
        await guard.execute(
            "set local idle_in_transaction_session_timeout = 0; set local lock_timeout = 0; "
            "set local statement_timeout = 0"
        )
        if not await guard.fetchval("select pg_try_advisory_xact_lock($1)", _RUN_LOCK):
            say("Another migration of this database is running: waiting until it has ended.")
            await guard.execute("select pg_advisory_xact_lock($1)", _RUN_LOCK)
        yield


@contextmanager
def _history_errors() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"The history of migrations cannot be read or written: {error.args[0]}"
        ) from None


async def _require_history(
    connection: asyncpg.Connection, migrations: list[Migration], folder: Path
) -> None:
    async with _exclusively(connection):
        # Check first, because "if not exists" still needs the privilege to create.
        for table, create in (("schema_migrations", _HISTORY), ("file_hashes", _HASHES)):
            if not await _exists(connection, table):
                await connection.execute(create)
        applied = await _checked_history(connection, migrations, folder)
        for one in migrations:
            if one.version in applied and applied[one.version] is None:
                await _keep_hash(connection, one)  # applied by the CLI, or before there were hashes


async def _exists(connection: asyncpg.Connection, table: str) -> bool:
    name = f"supabase_migrations.{table}"
    return bool(await connection.fetchval("select to_regclass($1) is not null", name))


async def _checked_history(
    connection: asyncpg.Connection, migrations: list[Migration], folder: Path
) -> dict[str, str | None]:
    """Return the applied versions with the hashes of their files, where these are known.

    Raises HistoryError if a file of them is missing or was edited.
    """
    if not await _exists(connection, "schema_migrations"):
        return {}
    rows = await connection.fetch(
        "select version, name from supabase_migrations.schema_migrations order by version"
    )
    hashes: dict[str, str] = {}
    if await _exists(connection, "file_hashes"):
        known = await connection.fetch("select version, hash from supabase_migrations.file_hashes")
        hashes = {row["version"]: row["hash"] for row in known}
    files = {migration.version: migration for migration in migrations}
    for row in rows:
        if row["version"] not in files:
            raise HistoryError(
                f"The database has migration {row['version']}_{row['name'] or ''}, and "
                f"{folder.name}/ has no file of it: this is an older checkout, or the file "
                "was renamed."
            )
    applied = {row["version"]: hashes.get(row["version"]) for row in rows}
    edited = [
        files[version].path.name
        for version, stored in applied.items()
        if stored not in {None, files[version].hash}
    ]
    if edited:
        raise HistoryError(
            f"{', '.join(edited)} {'was' if len(edited) == 1 else 'were'} edited after this "
            "database had applied it: undo the edit, and write a new migration instead."
        )
    return applied


async def _keep_hash(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "insert into supabase_migrations.file_hashes (version, hash) values ($1, $2) "
        "on conflict (version) do update set hash = excluded.hash",
        migration.version,
        migration.hash,
    )


async def _apply_patiently(
    connection: asyncpg.Connection,
    migration: Migration,
    patience: Patience,
    say: Callable[[str], None],
) -> bool:
    """Apply it unless it is applied; try again where others hold what it needs.

    Returns whether this call applied it.
    """
    name, waited = migration.path.name, f"{patience.lock_seconds:g} s"
    for attempt in range(1, patience.attempts + 1):
        try:
            applied = await _apply(connection, migration, patience)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt < patience.attempts:
                pause = min(patience.pause_seconds * 2 ** (attempt - 1), _LONGEST_PAUSE_SECONDS)
                say(
                    f"{name} got no lock within {waited}: somebody else uses the table. "
                    f"Attempt {attempt} of {patience.attempts}; the next one in {pause:g} s."
                )
                await asyncio.sleep(pause)
        except asyncpg.QueryCanceledError as error:
            raise MigrationError(
                f"{_explain(migration, error)}. {_NOTHING_APPLIED} A statement may "
                f"take {patience.statement_seconds:g} s: raise --statement-timeout, or change "
                "large tables in steps (docs/how-to/change-schema.md)."
            ) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise MigrationError(_explain(migration, error)) from None
        else:
            if applied:
                say(f"applied {name}")
            return applied
    raise MigrationError(
        f"{name} got no lock within {waited}, in {patience.attempts} attempts. {_NOTHING_APPLIED} "
        "A long transaction uses the table: look for the oldest xact_start in pg_stat_activity, "
        "end it, and start again; --lock-timeout waits longer, and stops the table's other users "
        "meanwhile."
    )


async def _apply(connection: asyncpg.Connection, migration: Migration, patience: Patience) -> bool:
    async with _exclusively(connection):
        if await connection.fetchval(
            "select exists (select from supabase_migrations.schema_migrations where version = $1)",
            migration.version,
        ):
            return False
        await connection.execute(
            f"set local lock_timeout = {round(patience.lock_seconds * 1000)}; "
            f"set local statement_timeout = {round(patience.statement_seconds * 1000)}"
        )
        await _run(connection, migration)
        await connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name, statements) "
            "values ($1, $2, $3)",
            migration.version,
            migration.name,
            split_statements(migration.sql),
        )
        await _keep_hash(connection, migration)
    return True


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    if migration.controls_transactions:  # before it runs: a COMMIT could not be taken back
        raise MigrationError(
            f"{migration.path.name} ends its transaction: remove BEGIN, COMMIT and "
            "ROLLBACK; each migration has its own transaction."
        )
    await connection.execute(migration.sql)
    # A SET in one migration must not affect the next one.
    await connection.execute("reset role; reset all")


@asynccontextmanager
async def _exclusively(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Run a transaction while no other migrator runs one."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        yield


def _explain(migration: Migration, error: Exception) -> str:
    position = str(getattr(error, "position", None) or "")
    line = ""
    if position.isdigit():
        line = f", line {migration.sql.count(chr(10), 0, int(position) - 1) + 1},"
    more = getattr(error, "detail", None) or getattr(error, "hint", None)
    reason = f"{error.args[0]}" + (f" ({more})" if more else "")
    if isinstance(error, _UNDEFINED):
        reason += ". Files run in the order of their names: does a later one make it?"
    return f"Migration {migration.path.name}{line} failed: {reason}"
