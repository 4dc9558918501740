"""A post is published for the first time exactly once: the database puts one event."""

from itertools import product
from uuid import UUID

import httpx
import pytest

from kit.posts import store_post


@pytest.fixture
async def author(own_database):
    author = await own_database.user()
    await own_database.forget()
    return author


def ids(events):
    return [[UUID(item["post_id"]) for item in event["items"]] for event in events]


@pytest.mark.parametrize("states", list(product((False, True), repeat=4)), ids=str)
async def test_a_post_is_published_exactly_once(own_database, author, states):
    first, *later = states
    post = await store_post(own_database, author, published=first)
    for published in later:
        await own_database.sql.execute("update public.posts set published = $1", published)
    events = await own_database.events("post_published")
    item = {"post_id": str(post), "author_id": str(author)}
    assert [row["items"] for row in events] == ([[item]] if any(states) else [])


async def test_publishing_by_an_upsert_counts_once(own_database, author):
    post = await store_post(own_database, author, published=False)
    for _ in range(2):
        await own_database.sql.execute(
            "insert into public.posts (id, title, content, published, author_id) "
            "values ($1, 'A post', '', true, $2) "
            "on conflict (id) do update set published = excluded.published",
            post,
            author,
        )
    assert ids(await own_database.events("post_published")) == [[post]]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_user_cannot_say_when_a_post_was_first_published(own_database, method):
    user, token = await own_database.sign_up()
    post = await store_post(own_database, user, published=False)
    async with httpx.AsyncClient(base_url=own_database.gateway.url) as client:
        answer = await client.request(
            method,
            "/rest/v1/posts" if method == "POST" else f"/rest/v1/posts?id=eq.{post}",
            json={"title": "A post", "content": "", "first_published_at": "2020-01-01"},
            headers={
                "apikey": own_database.gateway.config.anon_key,
                "Authorization": f"Bearer {token}",
            },
        )
    assert answer.status_code == 403
    assert await own_database.events("post_published") == []


async def test_not_even_the_service_says_when_a_post_was_first_published(own_database, author):
    sql = own_database.sql
    await sql.execute(
        "insert into public.posts (title, content, author_id, first_published_at) "
        "values ('A post', '', $1, '2020-01-01')",
        author,
    )
    await sql.execute("update public.posts set first_published_at = now()")
    assert await sql.fetchval("select first_published_at from public.posts") is None
    await sql.execute("update public.posts set published = true")
    first = await sql.fetchval("select first_published_at from public.posts")
    await sql.execute("update public.posts set first_published_at = null, published = false")
    assert await sql.fetchval("select first_published_at from public.posts") == first
    assert len(await own_database.events("post_published")) == 1
