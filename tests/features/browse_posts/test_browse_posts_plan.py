"""G2: a page reads the index in its order: no sort, and one row more than it shows."""

import json

import pytest

from kit.plans import recorded

FILL = """
insert into public.posts (title, content, published, author_id, created_at)
select 'A post', '', number % 10 <> 0, $1, '2026-01-01'::timestamptz + number * interval '1 minute'
from generate_series(1, 3000) number
"""
MIDDLE = "select (extract(epoch from '2026-01-02'::timestamptz) * 1000000)::bigint"
CALL = "select public.browse_posts($1, $2, $3, $4)"
ID = "3820052a-bbd0-4a50-bce5-53a231166443"


@pytest.fixture
async def filled(database, author):
    """A connection in a transaction with 3,000 posts, which is rolled back."""
    transaction = database.transaction()
    await transaction.start()
    await database.execute(FILL, author.id)
    await database.execute("analyze public.posts")
    yield database
    await transaction.rollback()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("mode", ["auto", "force_generic_plan", "force_custom_plan"])
async def test_g2_a_page_reads_one_post_more_than_it_shows_and_sorts_nothing(
    filled, author, role, mode
):
    middle = await filled.fetchval(MIDDLE)
    claims = json.dumps({"sub": str(author.id), "role": role})
    await filled.execute("select set_config('request.jwt.claims', $1, true)", claims)
    async with recorded(filled) as plans:
        await filled.execute(f"set local plan_cache_mode = {mode}")
        await filled.execute(f"set local role {role}")
        for page_size in (1, 20, 100):
            for place in ((None, None, False), (middle, ID, False), (middle, ID, True)):
                plans.clear()
                for _ in range(7):  # also by the plan that Postgres keeps for any parameters
                    found = json.loads(await filled.fetchval(CALL, *place, page_size))
                    assert len(found) == page_size + 1
                pages = [one for one in plans if "public.posts" in one.statement]
                assert len(pages) == 7
                for plan in pages:
                    assert plan.rows_read("posts") == page_size + 1
                    kinds = {node["Node Type"] for node in plan.nodes}
                    assert "Index Scan" in kinds
                    assert not {"Sort", "Incremental Sort", "Seq Scan"} & kinds
