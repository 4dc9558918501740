from uuid import uuid4

import pytest

from features.shared.posts import Post, PostChanged
from kit.announced import announced
from kit.conditional import etag_of, minds_conditions

REVISION = {"title": "Another title", "content": "Other content.", "published": True}
WRONG = [
    {},
    {"title": "Another title", "content": "Other content."},
    {"title": "Another title", "published": True},
    {"content": "Other content.", "published": True},
    REVISION | {"title": "ab"},
    REVISION | {"title": "  ab  "},
    REVISION | {"title": "x" * 201},
    REVISION | {"title": "a\x00bc"},
    REVISION | {"title": "two\nlines"},
    REVISION | {"title": None},
    REVISION | {"content": "x" * 100_001},
    REVISION | {"content": "a\x00b"},
    REVISION | {"content": 7},
    REVISION | {"content": None},
    REVISION | {"published": "perhaps"},
    REVISION | {"published": 1},
    REVISION | {"published": None},
    REVISION | {"author_id": "11111111-1111-4111-8111-111111111111"},
    REVISION | {"id": "11111111-1111-4111-8111-111111111111"},
    REVISION | {"created_at": "2000-01-01T00:00:00Z"},
    REVISION | {"first_published_at": None},
    [],
]
EVENTS = """
select request_id from outbox.events where topic = $1 and items @> $2::jsonb order by id
"""


async def test_only_the_author_may_call(anonymous, author, stranger, admin, post, read_post):
    url = f"/posts/{post.id}"
    assert (await anonymous.put(url, json=REVISION)).status_code == 401
    for other in (stranger, admin):
        answer = await other.put(url, json=REVISION)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert (await read_post(post.id, author))["title"] == post.title
    assert (await author.put(url, json=REVISION)).status_code == 200


@pytest.mark.parametrize("body", [{}, {"role": "admin"}, []])
async def test_who_may_call_is_decided_before_the_body_is_looked_at(
    anonymous, author, stranger, post, draft, body
):
    assert (await anonymous.put(f"/posts/{post.id}", json=body)).status_code == 401
    assert (await stranger.put(f"/posts/{post.id}", json=body)).status_code == 403
    assert (await stranger.put(f"/posts/{draft.id}", json=body)).status_code == 404
    assert (await author.put(f"/posts/{post.id}", json=body)).status_code == 422


async def test_anothers_draft_and_a_missing_post_are_404(stranger, author, draft, read_post):
    for post_id in (draft.id, uuid4()):
        answer = await stranger.put(f"/posts/{post_id}", json=REVISION)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "POST_NOT_FOUND"
        assert answer.headers["cache-control"] == "no-store"
    assert (await read_post(draft.id, author))["title"] == draft.title


async def test_the_answer_is_the_post_as_everyone_reads_it(author, post, read_post):
    async def read():
        return Post.model_validate(await read_post(post.id)).model_dump(mode="json")

    before = await read()
    answer = await author.put(f"/posts/{post.id}", json=REVISION | {"title": " Another title "})
    changed = answer.json()["data"]
    assert answer.headers["cache-control"] == "no-store"
    assert changed == before | REVISION | {"updated_at": changed["updated_at"]}
    assert changed["updated_at"] > before["updated_at"]
    assert await read() == changed


async def test_other_posts_stay_as_they_are(author, post, new_post, read_post):
    other = await new_post(author)
    await author.put(f"/posts/{post.id}", json=REVISION)
    assert (await read_post(other.id, author))["title"] == other.title


async def test_a_draft_that_is_published_is_everyones_to_read(author, draft, read_post):
    await author.put(f"/posts/{draft.id}", json=REVISION)
    assert (await read_post(draft.id))["published"] is True


async def test_a_post_that_is_a_draft_again_is_its_authors_alone(author, stranger, post, read_post):
    answer = await author.put(f"/posts/{post.id}", json=REVISION | {"published": False})
    assert answer.json()["data"]["published"] is False
    assert await read_post(post.id, stranger) is None
    assert await read_post(post.id, author) is not None


async def test_the_lists_have_it_while_it_is_published(author, draft, list_posts):
    for published in (True, False):
        await author.put(f"/posts/{draft.id}", json=REVISION | {"published": published})
        assert (str(draft.id) in await list_posts(author)) is published


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author, stranger, post):
    async with announced(settings, valkey, PostChanged, "post_id") as (client_for, dropped):
        async with client_for(stranger.token) as client:
            assert (await client.put(f"/posts/{post.id}", json=REVISION)).status_code == 403
        assert dropped() == set()
        async with client_for(author.token) as client:
            await client.put(f"/posts/{post.id}", json=REVISION)
        assert dropped() == {str(post.id)}


async def test_each_change_is_an_event_and_the_first_publication_one_more(author, draft, database):
    written = [
        (await author.put(f"/posts/{draft.id}", json=REVISION | {"published": published})).headers[
            "x-request-id"
        ]
        for published in (False, True, False, True)
    ]

    async def events(topic):
        rows = await database.fetch(EVENTS, topic, f'[{{"post_id": "{draft.id}"}}]')
        return [row["request_id"] for row in rows]

    assert (await events("post_changed"))[1:] == written  # the first event is the creation
    assert await events("post_published") == [written[1]]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo_and_changes_nothing(author, post, read_post, body):
    answer = await author.put(f"/posts/{post.id}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert "perhaps" not in answer.text
    assert "11111111" not in answer.text
    assert (await read_post(post.id, author))["title"] == post.title


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b""])
async def test_a_body_that_cannot_be_read_is_422(author, post, content):
    headers = {"content-type": "application/json"}
    answer = await author.put(f"/posts/{post.id}", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["success"] is False


@pytest.mark.parametrize("post_id", ["1", "not-a-uuid", "%00", "%ff", "'; drop table posts; --"])
async def test_what_is_no_uuid_is_422_without_echo(author, post_id):
    answer = await author.put(f"/posts/{post_id}", json=REVISION)
    assert answer.status_code == 422
    assert "not-a-uuid" not in answer.text
    assert "drop table" not in answer.text


async def test_a_deleted_user_changes_nothing(author, post, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    assert (await author.put(f"/posts/{post.id}", json=REVISION)).status_code in {401, 404}


async def test_conditions_hold_or_nothing_changes(author, stranger, post, read_post):
    url = f"/posts/{post.id}"
    etag = await etag_of(author, url)
    refused = await stranger.put(url, json=REVISION, headers={"If-Match": '"another"'})
    assert refused.status_code == 403
    before = await read_post(post.id)
    await minds_conditions(
        lambda headers: author.put(url, json=REVISION, headers=headers),
        etag,
        unchanged=lambda: is_still(read_post, before),
    )
    after = await author.put(url, json=REVISION, headers={"If-Match": etag})
    assert after.status_code == 412


async def is_still(read_post, before):
    assert await read_post(before["id"]) == before
