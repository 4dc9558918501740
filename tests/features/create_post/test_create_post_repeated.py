"""H1: a client that repeats a POST writes once."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import orjson
import pytest

from kit.front import Front, works
from kit.waiting import until

POST = {"title": "A title", "content": "Some content.", "published": True}
REPLAYED = "idempotency-replayed"


def key():
    return {"Idempotency-Key": f'"{uuid4()}"'}


def are_one(answers):
    assert {answer.status_code for answer in answers} == {201}, answers[0].text
    assert len({(answer.content, answer.headers["location"]) for answer in answers}) == 1
    # The first one, too, is a replay where its own response was lost.
    replayed = sum(answer.headers.get(REPLAYED) == "true" for answer in answers)
    assert replayed >= len(answers) - 1


async def answered(author, headers):
    """Post until there is a response, as a client does with a key: a busy database is 503."""
    async with asyncio.timeout(60):
        while True:
            answer = await author.post("/posts", json=POST, headers=headers)
            if answer.status_code != 503:
                return answer


async def test_h1_fifty_posts_with_one_key_at_once_are_one(author, stranger, database):
    headers = key()
    answers = await asyncio.gather(*(answered(author, headers) for _ in range(50)))
    are_one(answers)
    other = await author.post("/posts", json=POST | {"title": "Another"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    theirs = await stranger.post("/posts", json=POST, headers=headers)
    assert (theirs.status_code, REPLAYED in theirs.headers) == (201, False)
    query = "select count(*) from public.posts where author_id = $1"
    assert await database.fetchval(query, author.id) == 1
    assert await database.fetchval(query, stranger.id) == 1


async def test_h1_a_repeat_is_answered_when_the_quota_is_used_up(author, database):
    headers = key()
    first = await author.post("/posts", json=POST, headers=headers)
    await database.execute(
        "update quotas.usage set posts_that_day = 1000 where author_id = $1", author.id
    )
    assert (await author.post("/posts", json=POST)).status_code == 429
    assert (await author.post("/posts", json=POST, headers=headers)).content == first.content


@asynccontextmanager
async def behind_front(system):
    """Yields a front of Supabase, a client of Supabase, an API that uses the front, its client."""
    async with httpx.AsyncClient(base_url=system.gateway.url) as gateway:
        front = Front(gateway)
        await front.listen()
        try:
            url = f"http://127.0.0.1:{front.port}"
            async with system.api(SUPABASE_URL=url) as (process, client):
                yield front, gateway, process, client
        finally:
            await front.close()


@pytest.mark.slow
async def test_h1_over_two_processes_and_after_a_crash_there_is_one_row(whole_system):
    author_id, token = await whole_system.author()
    query = "select count(*) as n from public.posts where author_id = $1"

    async def rows():
        return (await whole_system.fetch(query, author_id))[0]["n"]

    async with (
        behind_front(whole_system) as (front, gateway, dying, client),
        whole_system.api() as (_, other),
    ):
        for one in (client, other):
            one.headers["Authorization"] = f"Bearer {token}"
            one.timeout = 20

        together = key()
        both = [answered(one, together) for _ in range(25) for one in (client, other)]
        are_one(await asyncio.gather(*both))
        assert await rows() == 1

        async def commits_and_crashes(seen):
            if seen.method == "POST" and seen.target.startswith("/rest/v1/posts"):
                answer = await gateway.request(
                    seen.method, seen.target, headers=_kept(seen.headers), content=seen.body
                )
                assert answer.status_code == 201, answer.text
                dying.kill()
            else:
                await works(seen)

        front.rest = commits_and_crashes
        crashing = key()
        with pytest.raises(httpx.TransportError):
            await client.post("/posts", json=POST, headers=crashing)
        assert await rows() == 2
        answer = await other.post("/posts", json=POST, headers=crashing)
        assert (answer.status_code, answer.headers[REPLAYED]) == (201, "true")
        assert await rows() == 2


@pytest.mark.slow
async def test_h5_a_client_that_leaves_does_not_stop_its_write(whole_system):
    author_id, token = await whole_system.author()
    body = orjson.dumps(POST)
    head = (
        f"POST /api/v1/posts HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    held, leave = asyncio.Event(), asyncio.Event()

    async def waits(seen):
        if seen.method == "POST" and seen.target.startswith("/rest/v1/posts"):
            held.set()
            await leave.wait()
        await works(seen)

    async with behind_front(whole_system) as (front, _, process, client):
        front.rest = waits
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(head.encode() + body)
        async with asyncio.timeout(20):
            await held.wait()
        writer.transport.abort()
        leave.set()
        await until(lambda: '"status":201' in process.printed)
    query = "select count(*) as n from public.posts where author_id = $1"
    assert (await whole_system.fetch(query, author_id))[0]["n"] == 1


def _kept(headers):
    own = {"host", "connection", "content-length", "accept-encoding"}
    return {name: value for name, value in headers.items() if name not in own}
