"""Migrations beside others: a second migrator, sessions that hold locks, slow statements."""

import asyncio
import contextlib

import asyncpg
import pytest
from typer.testing import CliRunner

from cli import app, production
from migrate import MigrationError, Patience, migrate, pending

SHORT = Patience(lock_seconds=0.05, attempts=3, pause_seconds=0.01)
LONG = Patience(lock_seconds=0.05, attempts=10_000, pause_seconds=0.01)
NAME = "20261124000002_b.sql"


@pytest.fixture
async def folder(database_url, tmp_path):
    """A folder whose first migration is applied, and made a table `a`."""
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "20261124000001_a.sql").write_text("create table a (id int);")
    await migrate(database_url, folder)
    return folder


@pytest.fixture
async def other(database_url):
    """Another session of the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def held(other):
    """Let the other session hold a lock that no change of the table `a` gets past."""
    async with asyncio.timeout(60), other.transaction():
        await other.execute("lock table a in access exclusive mode")
        yield


async def names(other):
    found = await other.fetch("select version from supabase_migrations.schema_migrations")
    return [row["version"][-1] for row in found]


async def test_a_second_one_waits_for_the_first_says_so_and_finds_nothing_to_do(
    database_url, folder, other
):
    for number in range(2, 7):
        (folder / f"2026112400000{number}_t.sql").write_text(f"create table t{number} ();")
    (folder / NAME.replace("_b", "_t")).write_text("alter table a add column b int;")
    lines: list[str] = []
    async with held(other):  # the first one waits here, with most of its work before it
        first = asyncio.create_task(migrate(database_url, folder, patience=LONG))
        while not await other.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and granted and database = "
            "(select oid from pg_database where datname = current_database()) and objid = 7205760"
        ):
            await asyncio.sleep(0.01)
        second = asyncio.create_task(migrate(database_url, folder, say=lines.append))
        while not lines:
            assert not second.done()
            await asyncio.sleep(0.01)
    assert len(await first) == 5
    assert await second == []
    assert lines == ["Another migration of this database is running: waiting until it has ended."]


async def test_a_lock_that_others_hold_is_waited_for_shortly_and_asked_for_again(
    database_url, folder, other
):
    (folder / NAME).write_text("create table t (); alter table a add column b int;")
    lines: list[str] = []
    async with held(other):
        task = asyncio.create_task(migrate(database_url, folder, patience=LONG, say=lines.append))
        while len(lines) < 2:
            assert not task.done()
            await asyncio.sleep(0.01)
    assert await task == [NAME]
    assert lines[0] == (
        f"{NAME} got no lock within 0.05 s: somebody else uses the table. "
        "Attempt 1 of 10000; the next one in 0.01 s."
    )
    assert lines[-1] == f"applied {NAME}"


async def test_a_lock_that_never_comes_free_is_a_sentence_that_says_what_to_do(
    database_url, folder, other
):
    (folder / NAME).write_text("create table t (); alter table a add column b int;")
    async with held(other):
        with pytest.raises(MigrationError) as raised:
            await migrate(database_url, folder, patience=SHORT)
        assert await names(other) == ["1"]
    assert str(raised.value).startswith(
        f"{NAME} got no lock within 0.05 s, in 3 attempts. Nothing of it was applied. "
        "A long transaction uses the table: look for the oldest xact_start in pg_stat_activity"
    )
    assert await other.fetchval("select to_regclass('t') is null")
    assert await migrate(database_url, folder) == [NAME]


async def test_a_deadlock_is_tried_again(database_url, folder):
    (folder / NAME).write_text(
        "do $$ begin if not (select is_called from n) then "
        "raise exception using errcode = 'deadlock_detected'; end if; end $$;"
    )
    connection = await asyncpg.connect(database_url)
    await connection.execute("create sequence n")
    task = asyncio.create_task(migrate(database_url, folder, patience=LONG))
    await connection.execute("select nextval('n')")
    await connection.close()
    assert await task == [NAME]


async def test_a_statement_that_takes_too_long_is_a_sentence_that_says_what_to_do(
    database_url, folder, other
):
    (folder / NAME).write_text("create table t (); select pg_sleep(60);")
    with pytest.raises(MigrationError, match=r"timeout\. Nothing of it was .* 0.1 s"):
        await migrate(database_url, folder, patience=Patience(statement_seconds=0.1))
    assert await names(other) == ["1"]


async def test_limits_of_the_role_do_not_end_the_wait_for_another_one(database_url, folder, other):
    name = await other.fetchval("select current_database()")
    await other.execute(f"alter database {name} set statement_timeout = '50ms'")
    (folder / NAME).write_text("select pg_sleep(0.3);")
    assert sorted(
        map(len, await asyncio.gather(*(migrate(database_url, folder) for _ in range(2))))
    ) == [0, 1]


@pytest.mark.parametrize("rehearse", [False, True])
async def test_a_dry_run_names_what_would_be_applied_and_changes_nothing(
    database_url, folder, other, rehearse
):
    (folder / NAME).write_text("alter table a add column b int;")
    (folder / "20261124000003_c.sql").write_text("insert into a (b) values (1);")
    found = await pending(database_url, folder, rehearse=rehearse)
    assert found == [NAME, "20261124000003_c.sql"]
    assert await names(other) == ["1"]
    assert await other.fetchval("select count(*) from pg_attribute where attname = 'b'") == 0


async def test_a_rehearsal_finds_the_error_that_a_list_does_not(database_url, folder):
    (folder / NAME).write_text("alter table a add column b int;")
    (folder / "20261124000003_c.sql").write_text("insert into a (c) values (1);")
    assert len(await pending(database_url, folder)) == 2
    with pytest.raises(MigrationError, match=r"3_c\.sql, line 1, failed: column .c. of relation"):
        await pending(database_url, folder, rehearse=True)


async def test_a_dry_run_of_an_empty_database_leaves_it_empty(database_url, folder, other):
    await other.execute("drop schema supabase_migrations cascade")
    assert len(await pending(database_url, folder)) == 1
    assert await other.fetchval("select to_regnamespace('supabase_migrations') is null")


async def test_a_dry_run_names_an_edited_migration_too(database_url, folder):
    next(folder.iterdir()).write_text("select 1;")
    with pytest.raises(MigrationError, match="was edited"):
        await pending(database_url, folder)


def test_the_command_says_what_it_would_do_and_what_it_did(
    database_url, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(production, "ROOT", tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    (folder / NAME).write_text("create table b ();")
    for options, output in (
        (["--dry-run"], f"would apply {NAME}\n1 to apply; nothing was changed.\n"),
        (
            ["--rehearse"],
            f"would apply {NAME}\n1 ran and was rolled back; nothing was changed.\n",
        ),
        (["--lock-timeout", "1"], f"applied {NAME}\n1 applied.\n"),
        (["--dry-run"], "The database is up to date.\n"),
    ):
        done = CliRunner().invoke(app, ["migrate", *options])
        assert (done.exit_code, done.output) == (0, output)


def test_the_command_passes_its_limits_on(database_url, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(production, "ROOT", tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    (folder / NAME).write_text("select pg_sleep(60);")
    done = CliRunner().invoke(app, ["migrate", "--statement-timeout", "0.1"])
    assert done.exit_code == 1
    assert "may take 0.1 s: raise --statement-timeout" in done.output
