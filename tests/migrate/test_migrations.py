import re
from functools import partial

import asyncpg
import pytest
from typer.testing import CliRunner

from cli import app, production
from migrate import HistoryError, MigrationError, migrate, pending, split_statements


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def write(folder, number, name, sql):
    path = folder / f"202611240000{number:02}_{name}.sql"
    path.write_text(sql)
    return path


async def query(url, sql):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def execute(url, sql):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_migrations_are_applied_once_and_in_order(database_url, folder):
    write(folder, 2, "rows", "insert into t values (1);")
    write(folder, 1, "table", "create table t (id int);")
    assert await migrate(database_url, folder) == [
        "20261124000001_table.sql",
        "20261124000002_rows.sql",
    ]
    assert await migrate(database_url, folder) == []
    assert len(await query(database_url, "table t")) == 1


async def test_history_is_the_supabase_clis(database_url, folder):
    write(folder, 1, "two_things", "create table a ();\n-- why; indeed\ncreate table b ();\n")
    await migrate(database_url, folder)
    (row,) = await query(
        database_url, "select version, name, statements from supabase_migrations.schema_migrations"
    )
    assert tuple(row) == (
        "20261124000001",
        "two_things",
        ["create table a ()", "-- why; indeed\ncreate table b ()"],
    )


async def test_what_the_cli_applied_is_not_applied_again(database_url, folder):
    await execute(
        database_url,
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations "
        "(version text not null primary key, statements text[], name text, created_by text); "
        "insert into supabase_migrations.schema_migrations values ('20261124000001', '{}', 'a');",
    )
    write(folder, 1, "a", "this would fail;")
    write(folder, 2, "b", "create table b ();")
    assert await migrate(database_url, folder) == ["20261124000002_b.sql"]


async def test_broken_migration_names_file_line_and_reason_and_leaves_nothing(database_url, folder):
    write(folder, 1, "good", "create table good ();")
    write(folder, 2, "bad", "create table half ();\n\ncreate tabel oops ();\n")
    with pytest.raises(MigrationError) as raised:
        await migrate(database_url, folder)
    assert str(raised.value) == (
        'Migration 20261124000002_bad.sql, line 3, failed: syntax error at or near "tabel"'
    )
    found = await query(
        database_url, "select relname from pg_class where relname in ('good', 'half')"
    )
    assert [row["relname"] for row in found] == ["good"]


async def test_a_migration_before_what_it_needs_is_told_about_the_order(database_url, folder):
    write(folder, 1, "reminders", "alter table notes add column due date;")
    write(folder, 2, "notes", "create table notes ();")
    with pytest.raises(MigrationError, match=r"\. Files run in the order of their names: .+\?$"):
        await migrate(database_url, folder)


async def test_error_without_a_position_has_no_line(database_url, folder):
    write(folder, 1, "bad", "do $$ begin raise exception 'no luck' using detail = 'today'; end $$;")
    with pytest.raises(MigrationError, match=r"_bad\.sql failed: no luck \(today\)$"):
        await migrate(database_url, folder)


@pytest.mark.parametrize("end", ["commit", "-- why\n /* how */ ROLLBACK", "begin"])
async def test_migration_may_not_end_its_transaction(database_url, folder, end):
    write(folder, 1, "bad", f"create table t (); {end};")
    for apply in (migrate, partial(pending, rehearse=True)):
        with pytest.raises(MigrationError, match="ends its transaction"):
            await apply(database_url, folder)
    assert not await query(database_url, "select from pg_class where relname = 't'")


async def test_a_body_of_plpgsql_is_no_end_of_a_transaction(database_url, folder):
    write(folder, 1, "a", "do $$ begin perform 1; end $$; create table commits (ended int);")
    assert len(await migrate(database_url, folder)) == 1


async def test_settings_of_one_migration_do_not_reach_the_next(database_url, folder):
    write(folder, 1, "a", "set search_path = ''; create role test_role_x; set role test_role_x;")
    write(folder, 2, "b", "create table b (); drop role test_role_x;")
    assert len(await migrate(database_url, folder)) == 2


async def test_applied_migration_without_its_file_is_an_error(database_url, folder):
    path = write(folder, 1, "gone", "select 1;")
    await migrate(database_url, folder)
    path.unlink()
    with pytest.raises(HistoryError, match=r"has migration 20261124000001\S*, and .* no file"):
        await migrate(database_url, folder)


EDITED = "20261124000001_a.sql was edited after this database had applied it: undo the edit, and"


async def test_a_migration_that_was_edited_after_it_was_applied_is_named(database_url, folder):
    path = write(folder, 1, "a", "create table a ();")
    await migrate(database_url, folder)
    path.write_text("create table a (id int);")
    write(folder, 2, "b", "create table b ();")
    with pytest.raises(HistoryError, match=f"^{EDITED} write a new migration instead"):
        await migrate(database_url, folder)
    assert not await query(database_url, "select from pg_class where relname = 'b'")
    path.write_text("create table a ();")
    assert await migrate(database_url, folder) == ["20261124000002_b.sql"]


def test_the_command_names_an_edited_migration_and_exits_with_1(
    database_url, tmp_path, monkeypatch
):
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    path = write(folder, 1, "a", "create table a ();")
    monkeypatch.setattr(production, "ROOT", tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    done = CliRunner().invoke(app, ["migrate"])
    assert (done.exit_code, done.output) == (0, f"applied {path.name}\n1 applied.\n")
    path.write_text("create table a (id int);")
    done = CliRunner().invoke(app, ["migrate"])
    assert (done.exit_code, done.output) == (1, f"{EDITED} write a new migration instead.\n")


async def test_all_that_were_edited_are_named_in_one_sentence(database_url, folder):
    paths = [write(folder, number, "t", f"create table t{number} ();") for number in (1, 2, 3)]
    await migrate(database_url, folder)
    for path in paths[:2]:
        path.write_text("select 1;")
    with pytest.raises(HistoryError, match=r"^2\S+1_t\.sql, 2\S+2_t\.sql were edited after"):
        await migrate(database_url, folder)


async def test_different_line_endings_are_no_edit(database_url, folder):
    path = write(folder, 1, "a", "create table a ();\n")
    await migrate(database_url, folder)
    path.write_bytes(b"create table a ();\r\n")
    assert await migrate(database_url, folder) == []


async def test_edits_of_what_the_cli_applied_are_noticed_from_the_first_look_on(
    database_url, folder
):
    await execute(
        database_url,
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations "
        "(version text not null primary key, statements text[], name text); "
        "insert into supabase_migrations.schema_migrations values ('20261124000001', '{}', 'a');",
    )
    path = write(folder, 1, "a", "create table a ();")
    assert await migrate(database_url, folder) == []
    path.write_text("create table a (id int);")
    with pytest.raises(HistoryError, match=f"^{EDITED}"):
        await migrate(database_url, folder)


@pytest.mark.parametrize("how", ["truncate", "delete from"])  # like `squash` and `repair`
async def test_a_history_that_the_cli_has_emptied_is_filled_anew(database_url, folder, how):
    path = write(folder, 1, "a", "create table if not exists a ();")
    await migrate(database_url, folder)
    await execute(database_url, f"{how} supabase_migrations.schema_migrations")
    path.write_text("create table if not exists a (id int);")
    assert await migrate(database_url, folder) == [path.name]
    assert await migrate(database_url, folder) == []


async def test_a_history_that_may_not_be_written_is_one_sentence(database_url, folder):
    await execute(
        database_url,
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations "
        "(version text primary key, statements text[], name text);"
        "create role test_role_reader login password 'x'; "
        "grant usage on schema supabase_migrations to test_role_reader;",
    )
    url = database_url.replace("postgres:postgres@", "test_role_reader:x@")
    try:
        with pytest.raises(MigrationError, match="cannot be read or written: permission denied"):
            await migrate(url, folder)
    finally:
        await execute(database_url, "drop owned by test_role_reader; drop role test_role_reader")


async def test_one_version_twice_is_an_error(database_url, folder):
    write(folder, 1, "a", "select 1;")
    write(folder, 1, "b", "select 1;")
    with pytest.raises(MigrationError, match=r"_a\.sql and .*_b\.sql have the same version"):
        await migrate(database_url, folder)


async def test_file_without_version_is_an_error(database_url, folder):
    (folder / "posts.sql").write_text("select 1;")
    with pytest.raises(MigrationError, match=r"posts\.sql is not named like a migration"):
        await migrate(database_url, folder)


async def test_database_out_of_reach_is_one_sentence(folder):
    with pytest.raises(MigrationError, match="cannot be reached"):
        await migrate("postgresql://postgres@127.0.0.1:1/postgres", folder)


@pytest.mark.parametrize("password", ["part#rest", "part/rest", "part?rest", "part[rest"])
async def test_an_address_that_cannot_be_read_is_one_sentence_without_the_password(
    folder, password
):
    with pytest.raises(MigrationError, match="no address of a database") as refused:
        await migrate(f"postgresql://postgres:{password}@127.0.0.1:1/postgres", folder)
    assert not {"part", "rest"} & set(re.findall(r"\w+", str(refused.value)))


def test_statements_are_split_where_the_server_would():
    function = "create function f() returns text language sql as $body$ select ';'; $body$"
    parts = [
        "select 'a;''b', \"c;d\", E'\\';'",
        "/* no; */ -- nor; here\nselect 1",
        function,
        "select $1$2;",
    ]
    assert split_statements(";\n".join(parts)) == [*parts[:3], "select $1$2"]
