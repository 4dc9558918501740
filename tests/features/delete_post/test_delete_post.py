from uuid import uuid4

import pytest

from features.shared.posts import PostChanged
from kit.announced import announced
from kit.conditional import etag_of, minds_conditions


async def test_only_the_author_may_call(anonymous, author, stranger, admin, post, read_post):
    url = f"/posts/{post.id}"
    assert (await anonymous.delete(url)).status_code == 401
    for other in (stranger, admin):
        answer = await other.delete(url)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert await read_post(post.id) is not None
    answer = await author.delete(url)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"


async def test_it_is_gone_for_everyone_and_from_the_lists(author, post, read_post, list_posts):
    assert str(post.id) in await list_posts()
    await author.delete(f"/posts/{post.id}")
    for reader in (author, None):
        assert await read_post(post.id, reader) is None
        assert str(post.id) not in await list_posts(reader)


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author, stranger, post):
    async with announced(settings, valkey, PostChanged, "post_id") as (client_for, dropped):
        async with client_for(stranger.token) as client:
            assert (await client.delete(f"/posts/{post.id}")).status_code == 403
        assert dropped() == set()
        async with client_for(author.token) as client:
            await client.delete(f"/posts/{post.id}")
        assert dropped() == {str(post.id)}


async def test_a_draft_is_deleted_too_and_nothing_else(author, post, draft, new_post, read_post):
    other = await new_post(author, published=False)
    assert (await author.delete(f"/posts/{draft.id}")).status_code == 204
    assert await read_post(draft.id, author) is None
    for kept in (post, other):
        assert await read_post(kept.id, author) is not None


async def test_anothers_draft_and_a_missing_post_are_404(author, stranger, draft, read_post):
    for post_id in (draft.id, uuid4()):
        answer = await stranger.delete(f"/posts/{post_id}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "POST_NOT_FOUND"
    assert await read_post(draft.id, author) is not None


async def test_deleting_again_is_404(author, post):
    answers = [await author.delete(f"/posts/{post.id}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]


async def test_it_is_an_event(author, post, database):
    request_id = (await author.delete(f"/posts/{post.id}")).headers["x-request-id"]
    found = await database.fetch(
        "select topic, items from outbox.events where request_id = $1", request_id
    )
    assert [tuple(row) for row in found] == [("post_changed", f'[{{"post_id": "{post.id}"}}]')]


@pytest.mark.parametrize("post_id", ["1", "not-a-uuid", "%00", "%ff", "'; drop table posts; --"])
async def test_what_is_no_uuid_is_422_without_echo(author, post_id):
    answer = await author.delete(f"/posts/{post_id}")
    assert answer.status_code == 422
    assert "not-a-uuid" not in answer.text
    assert "drop table" not in answer.text


async def test_conditions_hold_or_nothing_is_deleted(author, stranger, post, read_post):
    url = f"/posts/{post.id}"
    etag = await etag_of(author, url)
    refused = await stranger.delete(url, headers={"If-Match": '"another"'})
    assert refused.status_code == 403

    async def unchanged():
        assert await read_post(post.id) is not None

    await minds_conditions(
        lambda headers: author.delete(url, headers=headers), etag, done=204, unchanged=unchanged
    )
    assert await read_post(post.id) is None
