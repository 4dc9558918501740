"""The how-to pages: short, in the index, and their code is code."""

import ast
import json
import re
import subprocess
import textwrap
from uuid import uuid4

import pytest

from cli.migration_lint import lint
from kit.copies import ROOT

FOLDER = ROOT / "docs" / "how-to"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
LONG = {"your-supabase.md"}  # a list of steps, to go through once
LINES = 72  # a screen
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
STATEMENT = re.compile(r'\./app db "([^"]+)"')
MIGRATION = re.compile(
    r"^`(supabase/migrations/\S+\.sql)`.*?\n\n```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
MIGRATIONS = {
    path: sql for page in PAGES for path, sql in MIGRATION.findall(page.read_text(encoding="utf-8"))
}
STATEMENTS = [
    statement
    for page in [*PAGES, ROOT / "README.md"]
    for statement in STATEMENT.findall(page.read_text(encoding="utf-8"))
]


def blocks(page, kind):
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [textwrap.dedent(text) for _, name, text in found if name == kind]


def name(page):
    return page.name


def test_the_index_has_each_page_once():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\(([\w-]+\.md)\)", text)) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in LONG], ids=name)
def test_a_page_is_a_screen_at_most(page):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_code_of_a_page_can_be_read(page):
    for text in blocks(page, "python"):
        compile(text, page.name, "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for text in blocks(page, "sh"):
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
async def sql(own_database):
    """A connection whose changes are rolled back."""
    transaction = own_database.sql.transaction()
    await transaction.start()
    yield own_database.sql
    await transaction.rollback()


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_statement_of_a_page_can_be_run(sql, statement):
    await sql.execute(statement)


def test_the_statements_and_migrations_are_found():
    assert len(STATEMENTS) >= 6
    assert len(MIGRATIONS) >= 2


@pytest.mark.parametrize("path", MIGRATIONS)
async def test_a_migration_of_a_page_can_be_applied_and_is_clean(sql, path, tmp_path):
    await sql.execute(MIGRATIONS[path])
    (tmp_path / path.rpartition("/")[2]).write_text(MIGRATIONS[path], encoding="utf-8")
    assert lint(tmp_path) == 0


async def test_a_hidden_post_is_seen_by_nobody(own_database, sql):
    await sql.execute(next(text for path, text in MIGRATIONS.items() if "deleted_posts" in path))
    author = await own_database.user()
    post = await sql.fetchval(
        "insert into public.posts (title, content, published, author_id)"
        " values ('A post', '', true, $1) returning id",
        author,
    )

    async def as_user(user, statement, *values):
        claims = json.dumps({"sub": str(user), "role": "authenticated"})
        await sql.execute("select set_config('request.jwt.claims', $1, true)", claims)
        await sql.execute("set local role authenticated")
        try:
            return await sql.fetchval(statement, *values)
        finally:
            await sql.execute("reset role")

    seen = "select count(*) from public.posts where id = $1"
    assert await as_user(author, seen, post) == 1
    assert await as_user(uuid4(), "select public.hide_post($1)", post) is False
    assert await as_user(author, "select public.hide_post($1)", post) is True
    assert await as_user(author, seen, post) == 0
    assert await sql.fetchval(seen, post) == 1
