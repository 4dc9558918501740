"""S10: Supabase Auth accepts the parent of the current refresh token at any time. We do not."""

import asyncio

import jwt
import pytest
from redis.asyncio import Redis

from kernel.boot.app import create_app
from kit.application import running, whole


def session_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.fixture
def refresh(anonymous):
    async def call(token):
        return await anonymous.post("/auth/refresh", json={"refresh_token": token})

    return call


@pytest.fixture
def use(client_for):
    """Uses an access token; returns the error code of the refusal, or None."""

    async def use(token):
        async with client_for(token) as client:
            answer = await client.get("/whoami/stored")
        return None if answer.is_success else answer.json()["error"]["code"]

    return use


@pytest.fixture
def later(database):
    """Makes all uses of a person's refresh tokens a minute older, for Auth and for us."""

    async def later(person):
        await database.execute(
            "update auth.refresh_tokens set updated_at = updated_at - interval '1 minute'"
            " where user_id = $1",
            str(person.id),
        )
        await database.execute(
            "update identity.used_refresh_tokens set used_at = used_at - interval '1 minute'"
            " where session_id in (select id from auth.sessions where user_id = $1)",
            person.id,
        )

    return later


async def audited(database, person):
    query = "select * from audit.entries where user_id = $1 and action = 'refresh_reused'"
    return await database.fetch(query, person.id)


def refused(answer):
    return (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_REFRESH_TOKEN")


async def test_s10_a_stolen_parent_ends_the_session_once_its_child_was_used(
    refresh, use, later, author, database
):
    session = session_of(await refresh(author.refresh_token))
    assert await use(session["access_token"]) is None
    await later(author)
    answer = await refresh(author.refresh_token)
    assert refused(answer)
    assert await use(session["access_token"]) == "SESSION_ENDED"
    assert await use(author.token) == "SESSION_ENDED"
    assert refused(await refresh(session["refresh_token"]))
    (entry,) = await audited(database, author)
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    assert claims["session_id"] in entry["details"]
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert author.refresh_token not in str(dict(entry))


async def test_s10_it_does_not_matter_which_process_the_child_was_used_at(
    refresh, later, author, settings
):
    session = session_of(await refresh(author.refresh_token))
    app, token = create_app(settings, whole()), session["access_token"]
    async with running(app) as elsewhere, elsewhere(token) as client:
        assert (await client.get("/whoami/stored")).is_success
    await later(author)
    assert refused(await refresh(author.refresh_token))


async def test_s10_a_thief_who_refreshed_first_is_thrown_out_by_the_owner(
    refresh, use, later, author
):
    stolen = session_of(await refresh(author.refresh_token))
    assert await use(stolen["access_token"]) is None
    await later(author)
    assert refused(await refresh(author.refresh_token))  # the owner
    assert await use(stolen["access_token"]) == "SESSION_ENDED"


async def test_s10_a_grandparent_ends_the_session_and_its_access_tokens(
    refresh, use, later, author, database
):
    parent = session_of(await refresh(author.refresh_token))
    newest = session_of(await refresh(parent["refresh_token"]))
    await later(author)
    assert refused(await refresh(author.refresh_token))
    assert await use(newest["access_token"]) == "SESSION_ENDED"
    assert refused(await refresh(newest["refresh_token"]))
    assert len(await audited(database, author)) == 1


async def test_s10_a_client_that_lost_the_answer_goes_on_however_late(
    refresh, use, later, author, database
):
    for _ in range(2):  # both responses are lost
        session_of(await refresh(author.refresh_token))
        await later(author)
    session = session_of(await refresh(author.refresh_token))
    assert await use(session["access_token"]) is None
    await later(author)
    assert await use(session_of(await refresh(session["refresh_token"]))["access_token"]) is None
    assert await audited(database, author) == []


async def test_s10_several_tabs_refresh_at_once(refresh, use, author):
    first, *rest = await asyncio.gather(*(refresh(author.refresh_token) for _ in range(4)))
    assert await use(session_of(first)["access_token"]) is None
    late = await refresh(author.refresh_token)  # a slower tab, after the first use
    for answer in (*rest, late):
        assert await use(session_of(answer)["access_token"]) is None


async def test_s10_several_tabs_lose_the_answer(refresh, use, later, author):
    session_of(await refresh(author.refresh_token))
    await later(author)
    assert await use(session_of(await refresh(author.refresh_token))["access_token"]) is None
    assert await use(session_of(await refresh(author.refresh_token))["access_token"]) is None


async def test_s10_a_thief_cannot_keep_the_ten_seconds_open(refresh, use, author, database):
    async def seconds_later(seconds):
        await database.execute(
            "update identity.used_refresh_tokens set used_at = used_at - make_interval(secs => $2)"
            " where session_id in (select id from auth.sessions where user_id = $1)",
            author.id,
            seconds,
        )

    session = session_of(await refresh(author.refresh_token))
    assert await use(session["access_token"]) is None
    session_of(await refresh(author.refresh_token))  # within the ten seconds
    await seconds_later(7)
    session_of(await refresh(author.refresh_token))
    await seconds_later(4)  # eleven after the first use, four after the last
    assert refused(await refresh(author.refresh_token))


async def test_s10_what_is_kept_of_a_token_is_a_hash(refresh, author, database):
    session_of(await refresh(author.refresh_token))
    rows = await database.fetch("select u::text from identity.used_refresh_tokens u")
    assert rows
    assert not [row for row in rows if author.refresh_token in str(row)]


async def test_s10_what_redis_keeps_of_used_tokens_cannot_be_evicted_by_age(
    refresh, use, author, stack
):
    session = session_of(await refresh(author.refresh_token))
    assert await use(session["access_token"]) is None
    async with Redis.from_url(stack.cache_url) as redis:
        assert await redis.ttl("seen") == -1
