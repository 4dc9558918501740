from uuid import uuid4

import pytest

from kernel.boot.app import create_app


async def test_anyone_may_call(anonymous, author, stranger, post):
    for reader in (anonymous, author, stranger):
        assert (await reader.get(f"/posts/{post.id}")).status_code == 200


async def test_a_token_that_does_not_count_is_401(client_for, post):
    async with client_for("not.a.token") as client:
        assert (await client.get(f"/posts/{post.id}")).status_code == 401


async def test_a_published_post_is_read_whole(anonymous, post):
    answer = await anonymous.get(f"/posts/{post.id}")
    found = answer.json()["data"]
    assert found["id"] == str(post.id)
    assert found["title"] == post.title
    assert found["content"] == post.content
    assert found["author_id"] == str(post.author_id)
    assert answer.headers["cache-control"] == "no-cache"
    assert "Authorization" in answer.headers["vary"]


async def test_a_draft_exists_for_its_author_alone(anonymous, author, stranger, draft):
    assert (await stranger.get(f"/posts/{draft.id}")).status_code == 404
    assert (await anonymous.get(f"/posts/{draft.id}")).status_code == 404
    assert (await author.get(f"/posts/{draft.id}")).status_code == 200


async def test_the_document_shows_the_error(settings):
    paths = create_app(settings).openapi()["paths"]
    answers = paths["/api/v1/posts/{post_id}"]["get"]["responses"]
    assert "POST_NOT_FOUND" in answers["404"]["content"]["application/json"]["examples"]


async def test_a_missing_post_is_404(anonymous):
    answer = await anonymous.get(f"/posts/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "POST_NOT_FOUND"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("post_id", ["1", "not-a-uuid", "%00", "%ff", "'; drop table posts; --"])
async def test_what_is_no_uuid_is_422_without_echo(anonymous, post_id):
    answer = await anonymous.get(f"/posts/{post_id}")
    assert answer.status_code == 422
    assert "not-a-uuid" not in answer.text
    assert "drop table" not in answer.text
