from uuid import uuid4

import pytest


async def test_only_the_author_may_call(anonymous, author, stranger, admin, post):
    url = f"/posts/{post.id}"
    assert (await anonymous.delete(url)).status_code == 401
    for other in (stranger, admin):
        answer = await other.delete(url)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert (await anonymous.get(url)).status_code == 200
    answer = await author.delete(url)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"


async def test_it_is_gone_for_everyone_and_from_the_lists(author, anonymous, post):
    await author.delete(f"/posts/{post.id}")
    for reader in (author, anonymous):
        assert (await reader.get(f"/posts/{post.id}")).status_code == 404
        listed = (await reader.get("/posts?page_size=100")).json()["data"]
        assert str(post.id) not in {one["id"] for one in listed}


async def test_a_draft_is_deleted_too_and_nothing_else(author, post, draft, new_post):
    other = await new_post(author, published=False)
    assert (await author.delete(f"/posts/{draft.id}")).status_code == 204
    assert (await author.get(f"/posts/{draft.id}")).status_code == 404
    for kept in (post, other):
        assert (await author.get(f"/posts/{kept.id}")).status_code == 200


async def test_anothers_draft_and_a_missing_post_are_404(author, stranger, draft):
    for post_id in (draft.id, uuid4()):
        answer = await stranger.delete(f"/posts/{post_id}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "POST_NOT_FOUND"
    assert (await author.get(f"/posts/{draft.id}")).status_code == 200


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
