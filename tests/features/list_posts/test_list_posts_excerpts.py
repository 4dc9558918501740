"""S5: a page reads stored excerpts of long posts; its content is the same as without them."""

from pathlib import Path

import pytest

MIGRATIONS = Path(__file__).parents[3] / "supabase" / "migrations"
BEFORE = (MIGRATIONS / "20261129000101_bounded_lists.sql").read_text(encoding="utf-8")
FILLING = (MIGRATIONS / "20261130000402_lists_of_excerpts.sql").read_text(encoding="utf-8")
INSERT = (
    "insert into public.posts (title, content, published, author_id) "
    "values ('A post', $2, true, $1) returning id"
)
EDGES = [
    "",
    "x" * 1999,
    "x" * 2000,
    "x" * 2001,
    "é" * 2001,
    "😀" * 2000,
    "😀" * 2001,
    "😀" * 100_000,
    "e\u0301" * 1000,
    "e\u0301" * 1000 + "e",
    "x" * 1999 + "e\u0301",
    "x" * 1998 + "👨\u200d👩\u200d👧",
    "\x01\n\u2028" * 700,
    " " * 2001,
]


@pytest.fixture
async def no_posts(database):
    """Empties the table of posts."""
    await database.execute("delete from public.posts")


async def list_before(database):
    """Return the page in the form of the previous function."""
    await database.execute(BEFORE.replace("public.list_posts(", "pg_temp.list_posts_before("))
    return await database.fetchval("select pg_temp.list_posts_before(1, 100, true)::text")


def list_now(database):
    return database.fetchval("select public.list_posts(1, 100, true)::text")


@pytest.mark.usefixtures("no_posts")
async def test_s5_pages_are_those_of_the_function_before_byte_for_byte(author, database):
    for content in EDGES:
        await database.execute(INSERT, author.id, content)
    assert await list_now(database) == await list_before(database)
    query = "select count(*) from public.posts where excerpt is not null"
    assert await database.fetchval(query) == len([one for one in EDGES if len(one) > 2000])


@pytest.mark.usefixtures("no_posts")
async def test_s5_a_changed_post_has_the_beginning_of_what_it_is_now(author, database):
    post = await database.fetchval(INSERT, author.id, "x" * 2001)
    for content in ("y" * 3000, "z" * 2000, "w" * 2001):
        await database.execute("update public.posts set content = $2 where id = $1", post, content)
        assert await list_now(database) == await list_before(database)
        kept = await database.fetchval("select excerpt from public.posts where id = $1", post)
        assert kept == (content[:2000] if len(content) > 2000 else None)


@pytest.mark.usefixtures("no_posts")
async def test_s5_nobody_shows_another_beginning_than_the_posts(
    attacker, author, stack, supabase, new_post, database
):
    post = await new_post(author, content="x" * 2001)
    url = f"/rest/v1/posts?id=eq.{post.id}"
    answer = await attacker.patch(url, json={"excerpt": "another"})
    assert answer.status_code == 403
    headers = {"apikey": stack.gateway.service_key}
    answer = await supabase.patch(url, json={"excerpt": "another"}, headers=headers)
    assert answer.is_success
    assert await database.fetchval("select excerpt from public.posts") == "x" * 2000


@pytest.mark.usefixtures("no_posts")
async def test_s5_posts_that_are_older_than_the_column_are_filled_and_no_newer(author, database):
    transaction = database.transaction()
    await transaction.start()
    try:
        await database.execute("alter table public.posts disable trigger user")
        for content in EDGES:
            await database.execute(INSERT, author.id, content)
        await database.execute("update public.posts set updated_at = '2026-01-01'")
        await database.execute("alter table public.posts enable trigger user")
        before = await list_before(database)
        await database.execute(FILLING)
        assert await list_now(database) == before
    finally:
        await transaction.rollback()
