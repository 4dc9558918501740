"""What is cached of a user's posts is stale at once when the user is deleted, without a relay."""

from uuid import UUID

import pytest
from fastapi import APIRouter

from features.shared.posts import PostChanged
from kernel import Feature
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.cache import Cached, everyone, minutes
from kernel.web import Answer
from kit.application import running

# Reads of posts that this test owns: they see the drops, whichever slices there are.
POST = Cached("kept-post:{post_id}", ttl=minutes(9), audience=everyone, drop_on=(PostChanged,))
PAGE = Cached("kept-posts:page:{page}", ttl=minutes(9), audience=everyone, drop_on=(PostChanged,))

router = APIRouter()


@router.get("/kept-posts/{post_id}")
@POST.serves
async def kept_post(post_id: UUID) -> Answer[UUID]:
    return Answer(post_id)


@router.get("/kept-posts")
@PAGE.serves
async def kept_posts(page: int = 1) -> Answer[int]:
    return Answer(page)


def stamps(own):
    client = own.cache.client
    return {name.removeprefix("stamp:"): client.get(name) for name in client.scan_iter("stamp:*")}


@pytest.fixture
async def client_for(own_stack):
    """Makes clients of an application that keeps reads of posts."""
    features = {**discover(), "keep_reads": Feature(router=router, caller="ignored")}
    async with running(create_app(own_stack.settings, features)) as client_for:
        yield client_for


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_the_posts_and_the_lists_are_dropped_whoever_deletes(own_stack, client_for, role):
    user, token = await own_stack.sign_up()
    posts = [await own_stack.post(user, published=published) for published in (True, False)]
    await own_stack.post(await own_stack.user())
    if role == "admin":
        _, token = await own_stack.sign_up("admin")
    async with client_for(token) as client:
        assert (await client.delete(f"/users/{user}")).status_code == 204
    kept = {name for name in stamps(own_stack) if name.startswith("kept-")}
    assert kept == {"kept-posts:page:*", *(f"kept-post:{post}" for post in posts)}


@pytest.mark.parametrize(("written", "dropped"), [(2_001, 2_001), (2_000, 2_000), (10_500, 10_000)])
async def test_many_posts_are_dropped_page_by_page(own_stack, client_for, written, dropped):
    user, token = await own_stack.sign_up()
    await own_stack.sql.execute(
        "insert into public.posts (title, content, author_id) "
        "select 'A post', '', $1 from generate_series(1, $2::int)",
        user,
        written,
    )
    async with client_for(token) as client:
        assert (await client.delete(f"/users/{user}")).status_code == 204
    assert sum(name.startswith("kept-post:") for name in stamps(own_stack)) == dropped
    assert await own_stack.sql.fetchval("select count(*) from public.posts") == 0


async def test_a_deletion_that_is_refused_drops_nothing(own_stack, client_for):
    user, _ = await own_stack.sign_up()
    await own_stack.post(user)
    _, token = await own_stack.sign_up()
    async with client_for(token) as client:
        assert (await client.delete(f"/users/{user}")).status_code == 403
    assert stamps(own_stack) == {}
