"""G1-G3: no statement reads more rows because the database has grown.

The statements and their bounds are in bench/growth/statements.py; `./app bench --growth` and the
nightly test read them in a database with millions of rows, these tests in one with thousands.
"""

import re
from uuid import uuid4

import asyncpg
import pytest

from bench.errors import BenchError
from bench.growth.drain import drain
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
    connection, url = filled
    reader = Reader(connection)
    await reader.begin()
    claim = "select * from public.claim_events(100, 30, true, true)"
    pages = {}
    for waiting in (200, SMALL.waiting, 10 * SMALL.waiting):
        done = await drain(url, waiting=waiting, relays=2, events=0, say=quiet)
        assert done.waiting == waiting
        reading = await reader.read(Statement(name="claim", sql=claim, rows=300))
        assert (reading.returned, reading.too_many) == (100, False)
        pages[waiting] = reading.blocks
    assert max(pages.values()) < 1.5 * min(pages.values()) + 100, pages


@pytest.mark.slow
async def test_g3_several_relays_share_a_backlog(filled):
    done = await drain(filled[1], waiting=3_000, relays=3, events=2_400, say=quiet)
    assert done.settled == 2_400
    left = await filled[0].fetchval(
        "select count(*) from outbox.events where dropped_at is null and published_at is null"
    )
    assert left == 600  # each event was settled by one of them


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
