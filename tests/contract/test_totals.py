"""Kept totals: exact after every kind of write, and corrected where triggers were off."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

NOBODY = UUID(int=0)


@pytest.fixture
async def sql(own_database):
    """A connection to a database whose things are counted: all of them, and by author."""
    sql = own_database.sql
    if not await sql.fetchval("select count(*) from totals.lists where name = 'things'"):
        await sql.execute("select totals.keep('things', 'public.things', 'published')")
        await sql.execute(
            "select totals.keep('hidden', 'public.things', 'not published', owner => 'author_id')"
        )
    return sql


@pytest.fixture
async def author(sql, own_database):
    return await own_database.user()


async def counted(sql):
    """Return the totals that are not 0."""
    rows = await sql.fetch(
        "select list, owner, sum(number)::int as number from totals.numbers "
        "where list in ('things', 'hidden') group by 1, 2 having sum(number) <> 0"
    )
    return {(row["list"], row["owner"]): row["number"] for row in rows}


INSERT = (
    "insert into public.things (title, content, published, author_id) "
    "select 'A thing', '', n <= $2, $1 from generate_series(1, $3::int) n"
)


async def test_inserts_updates_and_deletions_are_counted(sql, author):
    await sql.execute(INSERT, author, 3, 5)
    assert await counted(sql) == {("things", NOBODY): 3, ("hidden", author): 2}
    await sql.execute("update public.things set published = not published")
    assert await counted(sql) == {("things", NOBODY): 2, ("hidden", author): 3}
    await sql.execute("update public.things set title = 'Another'")
    assert await counted(sql) == {("things", NOBODY): 2, ("hidden", author): 3}
    await sql.execute("delete from public.things where published")
    assert await counted(sql) == {("hidden", author): 3}


async def test_rows_that_change_their_owner_count_for_the_new_one(sql, author, own_database):
    other = await own_database.user()
    await sql.execute(INSERT, author, 0, 5)
    await sql.execute("update public.things set author_id = $1", other)
    assert await counted(sql) == {("hidden", other): 5}


async def test_copied_and_truncated_rows_are_counted(sql, author):
    records = [("A thing", "", True, author)] * 7
    columns = ["title", "content", "published", "author_id"]
    await sql.copy_records_to_table(
        "things", schema_name="public", records=records, columns=columns
    )
    assert await counted(sql) == {("things", NOBODY): 7}
    await sql.execute("truncate public.things")
    assert await counted(sql) == {}


async def test_the_rows_of_a_deleted_user_are_not_counted(sql, author):
    await sql.execute(INSERT, author, 3, 5)
    await sql.execute("delete from auth.users where id = $1", author)
    assert await counted(sql) == {}


async def test_what_is_rolled_back_is_not_counted(sql, author):
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute(INSERT, author, 3, 5)
    await transaction.rollback()
    assert await counted(sql) == {}


async def test_a_writer_does_not_wait_for_another(sql, author, own_database):
    other = await own_database.user()
    async with asyncio.timeout(20):
        async with sql.transaction():
            await sql.execute(INSERT, author, 3, 3)
            mine = await sql.fetchval("select pg_backend_pid() % 32")
            while True:
                writer = await asyncpg.connect(own_database.url)
                if await writer.fetchval("select pg_backend_pid() % 32") != mine:
                    break
                await writer.close()
            await writer.execute("set lock_timeout = '5s'")
            await writer.execute(INSERT, other, 2, 2)
            await writer.close()
        assert await counted(sql) == {("things", NOBODY): 5}


async def test_many_writers_at_once_are_counted_exactly(sql, own_database):
    async def write(author):
        connection = await asyncpg.connect(own_database.url)
        for _ in range(5):
            await connection.execute(INSERT, author, 2, 3)
            await connection.execute(
                "update public.things set published = true where author_id = $1", author
            )
        await connection.close()

    authors = [await own_database.user() for _ in range(7)]
    await asyncio.gather(*map(write, authors))
    assert await counted(sql) == {("things", NOBODY): 7 * 5 * 3}


async def test_what_was_written_without_triggers_is_corrected_while_others_write(
    sql, author, own_database
):
    await sql.execute(INSERT, author, 3, 5)
    await sql.execute("set session_replication_role = replica")
    await sql.execute(INSERT, author, 10, 14)
    await sql.execute("set session_replication_role = origin")
    assert await counted(sql) == {("things", NOBODY): 3, ("hidden", author): 2}
    other = await asyncpg.connect(own_database.url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(INSERT, author, 1, 1)
    async with own_database.as_service() as db:
        assert await db.rpc("repair_total", list="things", dry_run=True) == 1
        assert await counted(sql) == {("things", NOBODY): 3, ("hidden", author): 2}
        assert await db.rpc("repair_total", list="things", dry_run=False) == 1
        assert await db.rpc("repair_total", list="hidden", dry_run=False) == 1
        await transaction.commit()
        await other.close()
        assert await counted(sql) == {("things", NOBODY): 14, ("hidden", author): 6}
        assert await db.rpc("repair_total", list="things", dry_run=False) == 0
        assert await db.rpc("repair_total", list="hidden", dry_run=False) == 0


async def test_a_table_that_was_dropped_is_not_compared(sql, own_database):
    await sql.execute("create table public.gone (id uuid primary key)")
    await sql.execute("select totals.keep('gone', 'public.gone', 'true')")
    await sql.execute("drop table public.gone")
    async with own_database.as_service() as db:
        names = [row["name"] for row in await db.rpc("kept_totals")]
    assert "things" in names
    assert "gone" not in names
