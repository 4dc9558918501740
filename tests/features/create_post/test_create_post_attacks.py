import pytest

from kit.attacks import UNTOUCHABLE, field_of

POST = {"title": "A title", "content": "", "published": True}


@pytest.mark.parametrize("field", UNTOUCHABLE, ids=field_of)
async def test_a12_it_takes_no_field_that_is_not_the_callers(stranger, rows, field):
    before = await rows()
    assert (await stranger.post("/posts", json=POST | field)).status_code == 422
    assert await rows() == before


async def test_a12_past_the_api_no_post_gets_another_author_or_time(
    attacker, author, post, stranger, rows
):
    before = await rows()
    body = {"title": "Forged", "content": "", "author_id": str(author.id)}
    assert (await attacker.post("/rest/v1/posts", json=body)).status_code == 403
    for change in (
        {"author_id": str(author.id)},
        {"first_published_at": "2000-01-01T00:00:00Z"},
        {"updated_at": "2000-01-01T00:00:00Z"},
    ):
        body = {"title": "A title", "content": ""} | change
        assert (await attacker.post("/rest/v1/posts", json=body)).status_code == 403
    upsert = {"Prefer": "resolution=merge-duplicates"}
    body = {"id": str(post.id), "title": "Mine now", "content": ""}
    answer = await attacker.post("/rest/v1/posts", json=body, headers=upsert)
    assert answer.status_code == 403
    assert await rows() == before
    body = {"title": "Own", "content": ""}
    own = (await attacker.post("/rest/v1/posts", json=body)).json()[0]
    assert own["author_id"] == str(stranger.id)
