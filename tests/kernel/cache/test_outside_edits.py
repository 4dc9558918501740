"""K13: an edit of a row by SQL is visible within 2 s if a relay runs."""

import asyncio

import pytest

from kit.outside_edits import api_and_relay, assert_edit_shows, cached, fresh, reader

pytestmark = pytest.mark.slow


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(system):
    author, _ = await system.author()
    thing = await system.publish(author)
    statement = "update public.things set title = 'Edited'"
    await assert_edit_shows(system, f"/things/{thing}", statement, "title", "Edited")


async def test_k13_rows_of_another_client_come_into_the_lists_and_go_with_their_author(system):
    author, _ = await system.author()
    _, other_token = await system.author()
    async with api_and_relay(system) as api, reader(api, other_token) as client:
        assert await cached(system, client, "/things") == []
        things = [await system.publish(author) for _ in range(3)]
        await fresh(client, "/things", lambda answer: len(answer.json()["data"]) == 3)
        urls = [f"/things/{thing}" for thing in things] + [f"/people/{author}"]
        for url in [*urls, "/things", "/things?page=1&page_size=2"]:
            await cached(system, client, url)
        await system.fetch("delete from auth.users where id = $1", author)
        await asyncio.gather(
            *(fresh(client, url, lambda answer: answer.status_code == 404) for url in urls),
            *(
                fresh(client, url, lambda answer: answer.json()["data"] == [])
                for url in ("/things", "/things?page=1&page_size=2")
            ),
        )
