"""G1-G3: no statement reads more rows because the database has grown.

The statements and their bounds are in bench/growth/statements.py; `./app bench --growth` and the
nightly test read them in a database with millions of rows, these tests in one with thousands.
"""

import re
from uuid import uuid4

import asyncpg
import pytest

from bench.errors import BenchError
from bench.growth.fill import Sizes, fill
from bench.growth.reading import Reader
from bench.growth.run import known, measure_growth, read_all
from bench.growth.statement import Statement
from contract import shipped
from kit.grants import ROOT, stated_in
from kit.servers import make_database

SMALL = Sizes(posts=20_000, users=10_000, events=20_000, runs=20_000, waiting=2_000)
# Foreign keys that need no index: topics are never deleted, and things are a table of the tests.
KEPT = {"outbox.events(topic)", "things(author_id)"}


CLAIM = Statement(
    name="claim", sql="select * from public.claim_events(100, 30, true, true)", rows=300
)
# A relay's turn, by SQL alone.
SETTLED = """
with claimed as (select id, claim from public.claim_events(100, 30, true, true))
select public.settle_events(claim, jsonb_agg(jsonb_build_object(
  'id', id, 'dropped', true, 'published', true)), '[]')
from claimed group by claim
"""


async def let_wait(connection, waiting):
    """Let exactly so many new events wait, as vacuumed as autovacuum leaves them."""
    await connection.execute("delete from outbox.events where delivered_at is null")
    await connection.execute(
        "insert into outbox.events (topic, items) select 'post_changed', "
        "jsonb_build_array(jsonb_build_object('post_id', gen_random_uuid())) "
        "from generate_series(1, $1::integer)",
        waiting,
    )
    await connection.execute("vacuum (analyze) outbox.events")


def quiet(line):
    """Say nothing."""


@pytest.fixture(scope="module")
async def filled(postgres_url):
    """A connection to a filled database, and its address."""
    url = await make_database(postgres_url, f"growth_{uuid4().hex}")
    connection = await asyncpg.connect(url)
    await fill(connection, SMALL, quiet)
    yield connection, url
    await connection.close()
    maintenance = await asyncpg.connect(postgres_url)
    await maintenance.execute(f'drop database "{url.rpartition("/")[2]}" with (force)')
    await maintenance.close()


@pytest.mark.slow
async def test_g2_no_statement_reads_or_sorts_more_rows_than_its_bound(filled):
    found = await read_all(filled[0], SMALL, quiet)
    assert len(found.readings) > 100
    over = [line for line in found.table() if "over: rows" in line]
    assert not over, "\n".join([found.table()[0], *over])


@pytest.mark.slow
async def test_a_statement_that_does_not_exist_is_not_measured_as_good(filled):
    with pytest.raises(BenchError, match=r"No statement begins with 'nope'\. There are: .+"):
        await read_all(filled[0], SMALL, quiet, ["get_post", "nope"])


# Statements whose wrong arguments end them early: what they return or leave when they have worked.
WORKED = {
    "take_mailed_token": "{sql} t where t ? 'user_id'",
    "email_change_from": "{sql} t where t is not null",
    "renew_session": "{sql} t where t ->> 'reused' = 'false'",
    "claim_expired_runs": "{sql} limit 1",
    "settle_expired_runs": "{sql}; select from jobs.runs where holder = 'gone:1' "
    "and held_until is null limit 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKED)
async def test_g2_a_statement_does_its_work(filled, name):
    connection, _ = filled
    (one,) = [each for each in await known(connection, SMALL) if each.name == name]
    transaction = connection.transaction()
    await transaction.start()
    try:
        if one.setup:
            await connection.execute(one.setup)
        status = await connection.execute(WORKED[name].format(sql=one.sql))
    finally:
        await transaction.rollback()
    assert status == "SELECT 1"


@pytest.mark.slow
async def test_g2_a_statement_that_reads_or_sorts_a_table_is_found(filled):
    reader = Reader(filled[0])
    await reader.begin()
    scan = await reader.read(
        Statement(name="scan", sql="select from public.posts where content = ''", rows=100)
    )
    assert (scan.too_many, scan.whole, scan.read) == (True, ("posts",), SMALL.posts)
    sort = await reader.read(
        Statement(name="sort", sql="select from public.posts order by title limit 1", rows=100)
    )
    assert (sort.too_many, sort.sorted) == (True, SMALL.posts)
    nested = await reader.read(
        Statement(name="nested", sql="select totals.repair('drafts')", role="postgres")
    )
    assert nested.too_many  # a function's own statements are read, too


@pytest.mark.slow
async def test_g3_a_claim_costs_the_same_with_many_and_with_few_waiting(filled):
    connection, _ = filled
    reader = Reader(connection)
    await reader.begin()
    pages = {}
    for waiting in (100, SMALL.waiting, 200_000):
        await let_wait(connection, waiting)
        reading = await reader.read(CLAIM)
        assert (reading.returned, reading.too_many) == (100, False)
        pages[waiting] = reading.blocks
    assert max(pages.values()) < 1.5 * min(pages.values()) + 100, pages


@pytest.mark.slow
async def test_g3_a_backlog_drains_as_fast_as_a_stream(filled):
    connection, _ = filled
    reader = Reader(connection)
    await reader.begin()
    await let_wait(connection, 20_000)
    pages = []
    for _ in range(3):
        pages.append((await reader.read(CLAIM)).blocks)
        for _ in range(50):  # what was settled must not be read again by later claims
            await connection.execute(SETTLED)
    assert max(pages) < 1.5 * min(pages) + 200, pages
    left = await connection.fetchval(
        "select count(*) from outbox.events where dropped_at is null and published_at is null"
    )
    assert left == 20_000 - 3 * 50 * 100


@pytest.mark.nightly
def test_g1_g2_every_statement_keeps_its_bounds_in_a_large_database():
    found = measure_growth(ROOT, Sizes(), quiet)
    assert not found.missed, "\n".join(found.table())


async def test_g2_every_function_that_came_with_the_template_has_a_bound(database):
    named = {
        name
        for one in await known(database, SMALL)
        for name in re.findall(r"public\.(\w+)\(", one.sql)
    }
    of_platform = stated_in(ROOT / "tests" / "kernel" / "grants.py").functions
    missing = {*of_platform, *shipped.GRANTS.functions} - named
    assert not missing, f"bench/growth/statements.py has no statement for {sorted(missing)}"


async def test_g2_every_rule_of_retention_has_an_index_on_its_column(database):
    without = await database.fetch(
        """select r.name from retention.rules r where not exists (
             select from pg_index i join pg_attribute a
               on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
             where i.indrelid = r.source and a.attname = r.aged_by)"""
    )
    names = [row["name"] for row in without]
    assert not names, f"The cleanup would read these tables whole: {names}"


async def test_g2_every_foreign_key_has_an_index(database):
    rows = await database.fetch(
        """select c.conrelid::regclass || '(' || a.attname || ')' as place
           from pg_constraint c
             join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
             join pg_class t on t.oid = c.conrelid
           where c.contype = 'f' and t.relnamespace <> 'auth'::regnamespace
             and not exists (
               select from pg_index i
               where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
                 and i.indpred is null)"""
    )
    places = {row["place"] for row in rows} - KEPT
    assert not places, f"Deleting a row that they refer to reads these tables whole: {places}"
