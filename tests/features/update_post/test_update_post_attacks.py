import pytest

from kit.attacks import UNTOUCHABLE, field_of, spellings

POST = {"title": "A title", "content": "", "published": True}


@pytest.mark.parametrize("field", UNTOUCHABLE, ids=field_of)
async def test_a12_it_takes_no_field_that_is_not_the_callers(stranger, new_post, rows, field):
    own = await new_post(stranger)
    before = await rows()
    assert (await stranger.put(f"/posts/{own.id}", json=POST | field)).status_code == 422
    assert await rows() == before


async def test_a12_it_changes_nobody_elses_post(stranger, post, draft, rows):
    before = await rows()
    for one, status in ((post, 403), (draft, 404)):
        for post_id in spellings(one.id):
            assert (await stranger.put(f"/posts/{post_id}", json=POST)).status_code == status
    assert await rows() == before


async def test_a12_past_the_api_no_post_is_changed_that_is_not_the_own(
    attacker, author, stranger, post, draft, new_post, rows
):
    own = await new_post(stranger)
    before = await rows()
    other = f"/rest/v1/posts?id=eq.{post.id}"
    assert (await attacker.patch(other, json={"title": "Mine now"})).json() == []
    assert (await attacker.get(f"/rest/v1/posts?id=eq.{draft.id}")).json() == []
    for change in (
        {"author_id": str(author.id)},
        {"id": str(post.id)},
        {"created_at": "2000-01-01T00:00:00Z"},
        {"first_published_at": "2000-01-01T00:00:00Z"},
        {"updated_at": "2000-01-01T00:00:00Z"},
    ):
        mine = f"/rest/v1/posts?id=eq.{own.id}"
        assert (await attacker.patch(mine, json=change)).status_code == 403
    assert await rows() == before


async def test_a12_a_change_without_a_filter_reaches_the_own_posts_alone(
    attacker, post, draft, rows
):
    before = await rows()
    await attacker.patch("/rest/v1/posts", json={"title": "All of them"})
    assert (await rows())[0] == before[0]
