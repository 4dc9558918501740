"""`./app db` and `./app outbox`, with this worker's database."""

import os
import re
import stat
import subprocess
import sys

import pytest

from cli.database import environment_of
from kit.process import PYTHONPATH

SECRET = "a-secret-of-the-database"


@pytest.fixture
def known(operator, monkeypatch, stack):
    monkeypatch.setenv("DATABASE_URL", stack.database_url)
    return operator


async def test_a_statement_is_a_table(known):
    found = await known("db", "select 7 as seven, null as nothing, E'a\\nb' as lines")
    assert found.exit_code == 0, found.output
    assert found.stdout == "seven  nothing  lines\n7               a↵b\n(1 row)\n"


async def test_a_value_cannot_move_the_cursor_of_a_terminal(known):
    found = await known("db", "select E'a\\x1b[2Jb' as text")
    assert found.stdout == "text\na [2Jb\n(1 row)\n"


async def test_a_statement_without_rows_says_what_it_did(known):
    found = await known("db", "set application_name = 'x'")
    assert found.output == "SET\n"


async def test_a_wrong_statement_is_one_sentence(known):
    found = await known("db", "selct 1")
    assert found.exit_code == 1
    assert found.output == 'syntax error at or near "selct"\n'


async def test_several_statements_are_one_sentence_with_the_remedy(known):
    found = await known("db", "select 1; select 2")
    assert found.exit_code == 1
    assert found.output == (
        "One statement at a time: the prompt of ./app db takes one on each line.\n"
    )


async def test_without_a_database_the_remedy_is_named(operator, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for command in (("db", "select 1"), ("outbox",)):
        found = await operator(*command)
        assert found.exit_code == 1
        assert found.output.startswith("No database is known: start the stack with ./app up")


@pytest.mark.parametrize("rest", ["127.0.0.1:9/postgres", "[x/db", "127.0.0.1:many/db"])
async def test_a_database_that_does_not_answer_is_one_sentence_without_the_password(
    operator, monkeypatch, rest
):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://owner:{SECRET}@{rest}")
    found = await operator("db", "select 1")
    assert found.exit_code == 1
    assert "DATABASE_URL" in found.output
    assert SECRET not in found.output
    assert len(found.output.splitlines()) == 1


def test_psql_gets_the_address_by_its_variables():
    url = f"postgresql://owner:{SECRET}%21@db.example.com:6543/app?sslmode=require"
    assert environment_of(url) == {
        "PGHOST": "db.example.com",
        "PGPORT": "6543",
        "PGUSER": "owner",
        "PGPASSWORD": f"{SECRET}!",
        "PGDATABASE": "app",
        "PGSSLMODE": "require",
    }


def run(url, path, typed=""):
    environment = {"PATH": str(path), "PYTHONPATH": PYTHONPATH, "DATABASE_URL": url}
    command = [sys.executable, "-m", "cli", "db"]
    return subprocess.run(
        command,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_psql_is_the_prompt_where_the_machine_has_it(stack, tmp_path):
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\necho "$# $PGDATABASE"\n')
    psql.chmod(psql.stat().st_mode | stat.S_IXUSR)
    done = run(stack.database_url, f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.stdout == f"0 {stack.database_url.rpartition('/')[2]}\n"


def test_without_psql_there_is_a_prompt_of_ours(stack, tmp_path):
    typed = "select 1\n as one;\nselct;\n\nselect 2 as two;\n\\q\nselect 3 as three;\n"
    done = run(stack.database_url, tmp_path, typed)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one\n1\n(1 row)\ntwo\n2\n(1 row)\n"
    assert 'syntax error at or near "selct"' in done.stderr


def test_the_last_statement_of_a_pipe_needs_no_semicolon(stack, tmp_path):
    done = run(stack.database_url, tmp_path, "select 1 as one;\nselect 2 as two")
    assert done.stdout == "one\n1\n(1 row)\ntwo\n2\n(1 row)\n"


@pytest.fixture
async def waiting(known, own_database, monkeypatch):
    """Runs `./app outbox` with a database in which nothing else puts events."""
    monkeypatch.setenv("DATABASE_URL", own_database.url)
    await own_database.sql.execute("delete from outbox.events")
    return lambda: known("outbox")


async def test_an_empty_outbox_says_so(waiting):
    assert (await waiting()).output == "The outbox is empty: all events are delivered.\n"


async def test_what_waits_is_shown_by_topic(waiting, own_database):
    for _ in range(2):
        await own_database.put("job_due", {"job": "a.job", "due_at": "2026-01-01T00:00:00Z"})
    await own_database.sql.execute(
        "update outbox.events set created_at = now() - interval '1 hour', attempts = 3,"
        " dropped_at = now(), error = 'no such job'"
    )
    found = await waiting()
    assert found.exit_code == 0, found.output
    first, head, row, error, remedy = found.output.splitlines()
    oldest = re.fullmatch(r"2 events wait; oldest (1:0\d:\d\d)", first)
    assert oldest
    assert head.split()[:2] == ["topic", "waiting"]
    assert row.split() == ["job_due", "2", oldest[1], "0", "2", "3"]
    assert error == "job_due: no such job"
    assert "./app relay" in remedy
