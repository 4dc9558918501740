import pytest

from kit.outside_edits import api_and_relay, cached, fresh, reader
from kit.posts import store_published

pytestmark = pytest.mark.slow


async def test_k13_posts_of_another_client_come_into_the_feed_and_go_with_their_author(
    whole_system,
):
    author, _ = await whole_system.author()
    async with api_and_relay(whole_system) as api, reader(api) as client:
        for _ in range(11):
            await store_published(whole_system, author)
        await fresh(client, "/feed", lambda answer: len(answer.json()["data"]) == 11)
        cursor = (await client.get("/feed?page_size=10")).json()["next"]
        second = f"/feed?page_size=10&cursor={cursor}"
        assert len(await cached(whole_system, client, second)) == 1
        await whole_system.fetch("delete from auth.users where id = $1", author)
        await fresh(client, second, lambda answer: answer.json()["data"] == [])
        await fresh(client, "/feed", lambda answer: answer.json()["data"] == [])
