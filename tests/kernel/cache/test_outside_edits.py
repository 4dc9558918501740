"""K13: a row that is edited straight in the database is fresh within 2 s: a relay runs."""

import asyncio
import contextlib
import time

import httpx
import pytest

from kit.waiting import until

pytestmark = pytest.mark.slow

SECONDS = 2.0


@contextlib.asynccontextmanager
async def reader(api, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers) as client:
        yield client


async def cached(system, client, url):
    """Return what is shown out of the cache, when no earlier change is on its way there."""
    waiting = "select 1 from outbox.events where dropped_at is null"

    async def all_dropped():
        return not await system.fetch(waiting)

    async def hit():
        answer = await client.get(url)
        return answer if answer.headers["x-cache"] == "HIT" else None

    await until(all_dropped)
    return (await until(hit)).json().get("data")


async def fresh(client, url, is_new):
    """Wait until the new state shows, by time of the edit, and stays."""
    edited = time.monotonic()
    while not is_new(answer := await client.get(url)):
        assert time.monotonic() - edited < SECONDS, answer.text
        await asyncio.sleep(0.02)
    assert is_new(await client.get(url))
    return time.monotonic() - edited


def shows(name, value):
    return lambda answer: answer.json()["data"][name] == value


@pytest.fixture
async def api(system):
    """The API and a relay, as processes; the relay has nothing to do when this begins."""
    await system.start("relay")
    async with system.api() as (_, client):
        yield client


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(system, api):
    author_id, token = await system.author()
    post = await system.publish(author_id)
    _, other_token = await system.author()
    edits = [
        (None, f"/posts/{post}", "update public.posts set title = 'Edited'", "title", "Edited"),
        (
            other_token,
            f"/users/{author_id}",
            "update public.profiles set display_name = 'Edited'",
            "display_name",
            "Edited",
        ),
        (
            token,
            "/users/me",
            f"update auth.users set email = 'edited@example.com' where id = '{author_id}'",
            "email",
            "edited@example.com",
        ),
        (
            None,
            "/settings",
            "update public.settings set site_name = 'Edited'",
            "site_name",
            "Edited",
        ),
    ]
    for who, url, statement, name, value in edits:
        async with reader(api, who) as client:
            assert (await cached(system, client, url))[name] != value
            await system.fetch(statement)
            await fresh(client, url, shows(name, value))
            assert (await cached(system, client, url))[name] == value


async def test_k13_posts_of_another_client_come_into_the_lists_and_go_with_their_author(
    system, api
):
    author_id, _ = await system.author()
    _, other_token = await system.author()
    async with reader(api, other_token) as client:
        assert await cached(system, client, "/posts") == []
        posts = [await system.publish(author_id) for _ in range(3)]
        await fresh(client, "/posts", lambda answer: answer.json()["total"] == 3)
        urls = [f"/posts/{post}" for post in posts] + [f"/users/{author_id}"]
        for url in [*urls, "/posts", "/posts?page=1&page_size=2"]:
            await cached(system, client, url)
        await system.fetch("delete from auth.users where id = $1", author_id)
        await asyncio.gather(
            *(fresh(client, url, lambda answer: answer.status_code == 404) for url in urls),
            fresh(client, "/posts", lambda answer: answer.json()["total"] == 0),
            fresh(client, "/posts?page=1&page_size=2", lambda answer: answer.json()["data"] == []),
        )
