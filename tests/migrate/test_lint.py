"""What `./app check` says of new migrations: examples that it must find, and others."""

import shutil

import pytest

from cli.checkout import ROOT
from cli.migration_lint import lint

BAD = {
    "ban-drop-column": "alter table public.posts drop column title;",
    "renaming-column": "alter table public.posts rename column title to heading;",
    "renaming-table": "alter table public.posts rename to articles;",
    "ban-drop-table": "drop table public.posts;",
    "ban-drop-function": "drop function public.account(uuid);",
    "ban-drop-constraint": "alter table public.posts drop constraint posts_title_check;",
    "ban-truncate-cascade": "truncate public.profiles cascade;",
    "adding-required-field": "alter table public.posts add column summary text not null;",
    "adding-field-with-default": (
        "alter table public.posts add column code uuid default gen_random_uuid();"
    ),
    "adding-not-nullable-field": "alter table public.posts alter column title set not null;",
    "changing-column-type": "alter table public.posts alter column title type varchar(10);",
    "constraint-missing-not-valid": (
        "alter table public.posts add constraint titled check (title <> '');"
    ),
    "adding-foreign-key-constraint": (
        "alter table public.posts add constraint editor_fk "
        "foreign key (editor_id) references public.profiles (id);"
    ),
    "disallowed-unique-constraint": (
        "alter table public.posts add constraint one_title unique (title);"
    ),
    "require-concurrent-index-creation": "create index posts_title on public.posts (title);",
    "ban-concurrent-index-creation-in-transaction": (
        "create table public.a (); create index concurrently posts_title on public.posts (title);"
    ),
    "transaction-nesting": "begin; create table public.a ();",
    "syntax-error": "create tabel public.a ();",
}
GOOD = {
    "a table of its own": (
        "create table public.tags (id uuid primary key, name text not null unique);"
        "create index tags_name on public.tags (name);"
    ),
    "a column that may be empty": "alter table public.posts add column summary text;",
    "a default that is no computation": (
        "alter table public.posts add column pinned boolean not null default false;"
    ),
    "a check of what comes from now on": (
        "alter table public.posts add constraint titled check (title <> '') not valid;"
    ),
    "a check of what was there before": "alter table public.posts validate constraint titled;",
    "a function that keeps its parameters": (
        "create or replace function public.a() returns int language sql as 'select 1';"
    ),
    "an exception with its reason": (
        "-- squawk-ignore ban-drop-column -- no running code uses it since 1.4\n"
        "alter table public.posts drop column title;"
    ),
}


def write(folder, sql, version="20270101000001"):
    (folder / f"{version}_change.sql").write_text(f"{sql}\n")


@pytest.mark.parametrize("rule", BAD)
def test_what_breaks_running_code_or_stops_it_is_found(tmp_path, capfd, rule):
    write(tmp_path, BAD[rule])
    assert lint(tmp_path) == 1
    captured = capfd.readouterr()
    assert rule in captured.out
    assert "docs/how-to/change-schema.md" in captured.err


@pytest.mark.parametrize("what", GOOD)
def test_what_fits_running_code_is_not(tmp_path, capfd, what):
    write(tmp_path, GOOD[what])
    assert lint(tmp_path) == 0, capfd.readouterr().out


def test_an_exception_needs_a_reason(tmp_path, capfd):
    write(tmp_path, f"-- squawk-ignore ban-drop-column\n{BAD['ban-drop-column']}")
    assert lint(tmp_path) == 1
    assert "write the reason, too" in capfd.readouterr().err


def test_released_migrations_are_exempt_and_the_next_one_is_not(tmp_path):
    write(tmp_path, BAD["ban-drop-column"], "20261130000900")
    assert lint(tmp_path) == 0
    write(tmp_path, BAD["ban-drop-column"], "20261201000001")
    assert lint(tmp_path) == 1


def test_no_release_is_newer_than_the_last_exempt_one(tmp_path):
    """What `./app check` looks at, with a fault in it, is refused: the list is not empty."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "supabase" / "migrations", folder)
    assert lint(folder) == 0
    write(folder, BAD["ban-drop-table"])
    assert lint(folder) == 1
