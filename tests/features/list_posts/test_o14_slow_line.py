"""O14: the longest posts of one author stop nobody's list on a slow line to Supabase."""

from urllib.parse import urlsplit

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.front import pointed_at
from kit.passage import passage

pytestmark = pytest.mark.slow

BYTES_A_SECOND = 20_000_000 // 8  # 20 Mbit/s
STORE = """
insert into public.posts (title, content, published, author_id)
select repeat('😀', 200), repeat('😀', 100000), true, $1 from generate_series(1, 100)
"""


async def test_o14_a_page_of_the_longest_posts_is_a_page(settings, stack, database, author):
    await database.execute(STORE, author.id)
    try:
        supabase = urlsplit(stack.supabase_url).port
        async with passage(supabase, bytes_a_second=BYTES_A_SECOND) as port:
            slow = pointed_at(settings, port, cache_enabled=False)
            async with running(create_app(slow)) as client_for, client_for() as client:
                answer = await client.get("/posts?page_size=100")
        assert answer.status_code == 200
        assert len(answer.json()["data"]) == 100
    finally:
        await database.execute("delete from public.posts where author_id = $1", author.id)
