import asyncio

import pytest

from kit.outside_edits import api_and_relay, cached, fresh, reader
from kit.posts import store_published

pytestmark = pytest.mark.slow


async def test_k13_posts_of_another_client_come_into_the_lists_and_go_with_their_author(
    whole_system,
):
    author, _ = await whole_system.author()
    _, other_token = await whole_system.author()
    async with api_and_relay(whole_system) as api, reader(api, other_token) as client:
        assert await cached(whole_system, client, "/posts") == []
        for _ in range(3):
            await store_published(whole_system, author)
        await fresh(client, "/posts", lambda answer: answer.json()["total"] == 3)
        for url in ("/posts", "/posts?page=1&page_size=10"):
            await cached(whole_system, client, url)
        await whole_system.fetch("delete from auth.users where id = $1", author)
        await asyncio.gather(
            fresh(client, "/posts", lambda answer: answer.json()["total"] == 0),
            fresh(client, "/posts?page=1&page_size=10", lambda answer: answer.json()["data"] == []),
        )
