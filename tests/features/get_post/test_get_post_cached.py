import asyncio
from uuid import uuid4

import pytest
import svcs

from features.shared.posts import PostChanged
from kernel.boot.app import create_app
from kernel.cache.drops import Announce
from kit.application import running
from kit.front import works
from kit.small import changed


@pytest.fixture
def app(settings, valkey, front, patient_redis):
    """An application with a separate cache; `front` counts the loads."""
    own = changed(front.settings(settings, cache_enabled=True), redis_port=valkey.port, redis_db=0)
    return create_app(own)


@pytest.fixture
async def cached(app):
    """Makes clients of this application."""
    async with running(app) as client_for:
        yield client_for


def told(answer):
    return answer.status_code, answer.headers["x-cache"]


async def test_k9_a_missing_post_is_looked_for_once(cached, front):
    async with cached() as client:
        url = f"/posts/{uuid4()}"
        answers = await asyncio.gather(*(client.get(url) for _ in range(100)))
        answers += [await client.get(url) for _ in range(100)]
    assert {answer.status_code for answer in answers} == {404}
    assert front.count("rest") == 1
    ids = {answer.json()["error"]["details"]["request_id"] for answer in answers}
    assert len(ids) == 200
    assert all(one.headers["x-request-id"] in ids for one in answers)


async def test_k9_a_post_that_is_published_shows_at_once(app, cached, database, draft):
    url = f"/posts/{draft.id}"

    async def write(statement):
        await database.execute(statement, draft.id)
        async with svcs.Container(app.state.services) as services:  # as slices do after a write
            await (await services.aget(Announce))(PostChanged(post_id=draft.id))

    async with cached() as client:
        assert [told(await client.get(url)) for _ in range(2)] == [(404, "MISS"), (404, "HIT")]
        await write("update public.posts set published = true where id = $1")
        assert [told(await client.get(url)) for _ in range(2)] == [(200, "MISS"), (200, "HIT")]
        await write("delete from public.posts where id = $1")
        assert told(await client.get(url)) == (404, "MISS")


async def test_k11_a_draft_is_never_kept(cached, author, stranger, draft, valkey):
    url = f"/posts/{draft.id}"
    async with cached() as nobody, cached(author.token) as own, cached(stranger.token) as other:
        for _ in range(2):
            assert told(await own.get(url)) == (200, "BYPASS")
            assert told(await other.get(url)) == (404, "BYPASS")
            assert (await nobody.get(url)).status_code == 404
            answer = await own.get(url)
            assert answer.headers["cache-control"] == "private, no-cache"
    kept = [valkey.client.strlen(key) for key in valkey.client.keys("cache:*")]
    assert len(kept) == 1  # only the fact that it is missing
    assert max(kept) < 400


async def test_k11_a_draft_is_not_given_to_a_stranger_who_waits_while_its_author_loads(
    cached, author, stranger, draft, front
):
    url, opens, held = f"/posts/{draft.id}", asyncio.Event(), asyncio.Semaphore(0)

    async def held_open(seen):
        held.release()
        await opens.wait()
        await works(seen)

    async with cached() as nobody, cached(author.token) as own, cached(stranger.token) as other:
        front.rest = held_open
        first = asyncio.create_task(own.get(url))
        await held.acquire()
        waiting = [asyncio.create_task(one.get(url)) for one in (own, other, nobody) * 5]
        opens.set()
        answers = await asyncio.gather(first, *waiting)
    assert {answer.status_code for answer in [answers[0], *answers[1::3]]} == {200}
    assert {answer.status_code for answer in answers[2::3] + answers[3::3]} == {404}
    assert all(draft.title not in answer.text for answer in answers[2::3] + answers[3::3])


async def test_k11_the_404_of_a_stranger_does_not_hide_it_from_its_author(
    cached, author, stranger, draft
):
    url = f"/posts/{draft.id}"
    async with cached() as nobody, cached(author.token) as own, cached(stranger.token) as other:
        for reader in (nobody, nobody, other, other):
            assert (await reader.get(url)).status_code == 404
        assert (await own.get(url)).json()["data"]["id"] == str(draft.id)


async def test_a_published_post_is_loaded_once_for_all(cached, author, stranger, post, front):
    url = f"/posts/{post.id}"
    async with cached() as nobody, cached(author.token) as own, cached(stranger.token) as other:
        answers = [await one.get(url) for one in (own, other, nobody)]
    assert [told(answer) for answer in answers] == [(200, "MISS"), (200, "HIT"), (200, "HIT")]
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["cache-control"] for answer in answers} == {"no-cache"}
    reads = [seen for seen in front.seen if "/posts?" in seen.target]
    assert len(reads) == 1
    assert author.token not in str(reads[0].headers)
