import json

import pytest

from features.shared.posts import Post, PostChanged
from kit.announced import announced

POST = {"title": "A title", "content": "Some content.", "published": True}
MAX_BODY_BYTES = 1280 * 1024  # the default
WRONG = [
    {},
    {"title": "A title"},
    POST | {"title": "ab"},
    POST | {"title": "  ab  "},
    POST | {"title": "x" * 201},
    POST | {"title": "a\x00bc"},
    POST | {"title": None},
    POST | {"content": "x" * 100_001},
    POST | {"content": "a\x00b"},
    POST | {"content": 7},
    POST | {"published": "perhaps"},
    POST | {"published": 0},
    POST | {"author_id": "11111111-1111-4111-8111-111111111111"},
    POST | {"id": "11111111-1111-4111-8111-111111111111"},
    POST | {"created_at": "2000-01-01T00:00:00Z"},
    [],
]


async def test_only_a_user_may_call(anonymous, author):
    assert (await anonymous.post("/posts", json=POST)).status_code == 401
    assert (await author.post("/posts", json=POST)).status_code == 201


async def test_who_may_call_is_decided_before_the_body_is_looked_at(anonymous):
    answer = await anonymous.post(
        "/posts", content=b"{", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 401


async def test_the_caller_becomes_the_author(author, read_post):
    answer = await author.post("/posts", json=POST)
    post = answer.json()["data"]
    assert post["author_id"] == str(author.id)
    assert {key: post[key] for key in POST} == POST
    assert answer.headers["location"] == f"/api/v1/posts/{post['id']}"
    assert answer.headers["cache-control"] == "no-store"
    read = Post.model_validate(await read_post(post["id"], author))
    assert read.model_dump(mode="json") == post


async def test_a_post_is_a_draft_unless_it_is_published(author, stranger, read_post):
    answer = await author.post("/posts", json={"title": "A title", "content": ""})
    post = answer.json()["data"]
    assert post["published"] is False
    assert await read_post(post["id"], stranger) is None


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author):
    async with announced(settings, valkey, PostChanged, "post_id") as (client_for, dropped):
        async with client_for(author.token) as client:
            post = (await client.post("/posts", json=POST)).json()["data"]
            assert dropped() == {post["id"]}
            refused = await client.post("/posts", json=POST | {"title": "No"})
        assert refused.status_code == 422
        assert dropped() == set()


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(author, body):
    answer = await author.post("/posts", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert "perhaps" not in answer.text
    assert "11111111" not in answer.text


async def test_a_validation_error_says_where_and_what(author):
    answer = await author.post("/posts", json={"title": "No"})
    assert answer.json()["error"]["details"]["fields"] == [
        {"field": "body.title", "message": "String should have at least 3 characters"},
        {"field": "body.content", "message": "Field required"},
    ]


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b'{"title": "\\ud800abc", "content": ""}', b"[" * 100_000, b""],
)
async def test_a_body_that_cannot_be_read_is_422(author, content):
    headers = {"content-type": "application/json"}
    answer = await author.post("/posts", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["success"] is False


async def test_h4_a_body_that_is_too_large_is_413(author):
    answer = await author.post("/posts", json=POST | {"content": "x" * MAX_BODY_BYTES})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "BODY_TOO_LARGE"


async def test_h4_a_body_that_turns_out_too_large_is_413_and_no_more_of_it_is_read(author):
    read = 0

    async def chunks():
        nonlocal read
        for _ in range(100):
            read += 100_000
            yield b"x" * 100_000

    headers = {"content-type": "application/json"}
    answer = await author.post("/posts", content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert read < MAX_BODY_BYTES + 200_000
    assert answer.json()["error"]["code"] == "BODY_TOO_LARGE"


async def test_s7_a_deleted_user_writes_nothing(author, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    answer = await author.post("/posts", json=POST)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "SESSION_ENDED"


@pytest.mark.parametrize("escaped", [True, False])
async def test_o14_the_longest_content_is_accepted_however_it_is_written(author, escaped):
    longest = {"title": "😀" * 200, "content": "😀" * 100_000, "published": False}
    body = json.dumps(longest, ensure_ascii=escaped).encode()
    headers = {"content-type": "application/json"}
    answer = await author.post("/posts", content=body, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["data"]["content"] == longest["content"]
