"""O14: the longest posts of one author stop nobody's list on a slow line to Supabase."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.front import pointed_at

pytestmark = pytest.mark.slow

BYTES_A_SECOND = 20_000_000 // 8
STORE = """
insert into public.posts (title, content, published, author_id)
select repeat('😀', 200), repeat('😀', 100000), true, $1 from generate_series(1, 100)
"""


@contextlib.asynccontextmanager
async def slow_line(url):
    """A way to a server that lets through 20 Mbit/s on all connections together."""
    target, loop = urlsplit(url), asyncio.get_running_loop()
    free_at = loop.time()

    async def copy(reader, writer):
        nonlocal free_at
        with contextlib.suppress(OSError):
            while data := await reader.read(16384):
                free_at = max(free_at, loop.time()) + len(data) / BYTES_A_SECOND
                await asyncio.sleep(free_at - loop.time())
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        there = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_o14_a_page_of_the_longest_posts_is_a_page(settings, stack, database, author):
    await database.execute(STORE, author.id)
    try:
        async with slow_line(stack.supabase_url) as port:
            slow = pointed_at(settings, port, cache_enabled=False)
            async with running(create_app(slow)) as client_for, client_for() as client:
                answer = await client.get("/posts?page_size=100")
        assert answer.status_code == 200
        assert len(answer.json()["data"]) == 100
    finally:
        await database.execute("delete from public.posts where author_id = $1", author.id)
