import pytest

from kit.outside_edits import api_and_relay, assert_edit_shows, cached, fresh, reader
from kit.posts import store_published

pytestmark = pytest.mark.slow


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(whole_system):
    author, _ = await whole_system.author()
    post = await store_published(whole_system, author)
    statement = "update public.posts set title = 'Edited'"
    await assert_edit_shows(whole_system, f"/posts/{post}", statement, "title", "Edited")


async def test_k13_a_post_goes_with_its_author(whole_system):
    author, _ = await whole_system.author()
    posts = [await store_published(whole_system, author) for _ in range(3)]
    urls = [f"/posts/{post}" for post in posts]
    async with api_and_relay(whole_system) as api, reader(api) as client:
        for url in urls:
            await cached(whole_system, client, url)
        await whole_system.fetch("delete from auth.users where id = $1", author)
        for url in urls:
            await fresh(client, url, lambda answer: answer.status_code == 404)
