import asyncio
from dataclasses import replace

import jwt
import orjson
import pytest
from redis.asyncio import Redis

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running, whole

# These unknown, malformed and empty tokens all have the same response.
UNKNOWN = ["aaaaaaaaaaaa", "no token", "", "a.b.c", "ü" * 12, "x" * 10_000]
WRONG = [{}, {"refresh_token": 7}, {"refresh_token": None}, {"refresh_token": "a\x00b"}, [], None]


def session_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def claims(session):
    return jwt.decode(session["access_token"], options={"verify_signature": False})


def refused(answer):
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_REFRESH_TOKEN"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    error = answer.json()["error"]
    del error["details"]["request_id"]
    return error


@pytest.fixture
def refresh(anonymous):
    async def call(token):
        return await anonymous.post("/auth/refresh", json={"refresh_token": token})

    return call


async def test_anyone_may_call(refresh, author):
    assert (await refresh(author.refresh_token)).status_code == 200


async def test_a_stale_token_is_no_hindrance(client_for, author):
    async with client_for("not.a.token") as client:
        body = {"refresh_token": author.refresh_token}
        assert (await client.post("/auth/refresh", json=body)).status_code == 200


async def test_the_session_goes_on_with_new_tokens(refresh, author, client_for):
    answer = await refresh(author.refresh_token)
    session = session_of(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert session["user"]["id"] == str(author.id)
    assert session["refresh_token"] != author.refresh_token
    before = jwt.decode(author.token, options={"verify_signature": False})
    assert claims(session)["session_id"] == before["session_id"]
    async with client_for(session["access_token"]) as client:
        assert (await client.get("/whoami/stored")).json()["data"]["email"] == author.email
    assert session_of(await refresh(session["refresh_token"]))


async def test_unknown_and_malformed_tokens_have_one_answer(refresh):
    answers = [refused(await refresh(token)) for token in UNKNOWN]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422(anonymous, body):
    answer = await anonymous.post("/auth/refresh", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_an_ended_session_has_the_answer_of_an_unknown_token(refresh, author, supabase):
    headers = {"Authorization": f"Bearer {author.token}"}
    await supabase.post("/auth/v1/logout?scope=local", headers=headers)
    assert refused(await refresh(author.refresh_token)) == refused(await refresh(UNKNOWN[0]))


async def test_a_banned_user_has_the_answer_of_an_unknown_token(refresh, author, database):
    await database.execute(
        "update auth.users set banned_until = now() + interval '1 day' where id = $1", author.id
    )
    refused(await refresh(author.refresh_token))


async def test_a_deleted_user_has_the_answer_of_an_unknown_token(refresh, author, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    refused(await refresh(author.refresh_token))


async def test_a3_one_token_used_twice_at_once_goes_on_with_one_session(refresh, author):
    both = await asyncio.gather(refresh(author.refresh_token), refresh(author.refresh_token))
    first, second = map(session_of, both)
    assert claims(first)["session_id"] == claims(second)["session_id"]
    assert first["refresh_token"] == second["refresh_token"]


async def test_a3_a_grandparent_token_later_kills_the_family(refresh, author, database):
    parent = session_of(await refresh(author.refresh_token))
    newest = session_of(await refresh(parent["refresh_token"]))
    # After the interval in which a repeated call counts as a lost response.
    await database.execute(
        "update auth.refresh_tokens set updated_at = now() - interval '1 minute'"
        " where user_id = $1",
        str(author.id),
    )
    refused(await refresh(author.refresh_token))
    refused(await refresh(newest["refresh_token"]))
    refused(await refresh(parent["refresh_token"]))


AGES = [("6 days 23 hours", 200), ("7 days 1 minute", 401)]


@pytest.mark.parametrize(("age", "status"), AGES)
async def test_a11_a_session_older_than_7_days_cannot_be_refreshed(
    refresh, author, database, age, status
):
    await grow_old(database, author, age)
    assert (await refresh(author.refresh_token)).status_code == status


@pytest.mark.parametrize(("age", "status"), AGES)
async def test_a11_nor_if_the_project_has_no_time_box(
    stack, settings, author, database, age, status
):
    with GatewayThread(replace(stack.gateway, session_timebox=0)) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}), whole())
        async with running(app) as client_for, client_for(author.token) as client:
            await grow_old(database, author, age)
            body = {"refresh_token": author.refresh_token}
            answer = await client.post("/auth/refresh", json=body)
            assert answer.status_code == status, answer.text
            # A session that is too old has ended: its access token is refused, too.
            assert (await client.get("/whoami/stored")).status_code == status
    if status == 401:
        refused(answer)
        query = "select count(*) from auth.sessions where user_id = $1"
        assert await database.fetchval(query, author.id) == 0


async def grow_old(database, person, age):
    await database.execute(
        "update auth.sessions set created_at = now() - $2::text::interval where user_id = $1",
        *(person.id, age),
    )


async def test_the_session_is_renewed_in_redis_without_a_token(refresh, author, stack, database):
    session = session_of(await refresh(author.refresh_token))
    key = f"session:{claims(session)['session_id']}"
    async with Redis.from_url(stack.cache_url) as redis:
        assert 3590 < await redis.ttl(key) <= 3600
        kept = orjson.loads(await redis.get(key) or "")
        await redis.expire(key, 10)
        session_of(await refresh(session["refresh_token"]))
        assert 3590 < await redis.ttl(key) <= 3600
    assert kept["user_id"] == str(author.id)
    assert kept["role"] is None
    assert set(kept) == {"user_id", "role", "started_at"}
    started = await database.fetchval(
        "select created_at from auth.sessions where user_id = $1", author.id
    )
    assert kept["started_at"] == started.isoformat()


async def test_a_role_counts_from_the_next_refresh_on(refresh, author, stack, database):
    await database.execute(
        'update auth.users set raw_app_meta_data = raw_app_meta_data || \'{"role": "admin"}\''
        " where id = $1",
        author.id,
    )
    session = session_of(await refresh(author.refresh_token))
    async with Redis.from_url(stack.cache_url) as redis:
        key = f"session:{claims(session)['session_id']}"
        kept = orjson.loads(await redis.get(key) or "")
    assert kept["role"] == "admin"


async def test_without_redis_a_session_goes_on(settings, author, unused_tcp_port):
    app = create_app(settings.model_copy(update={"redis_port": unused_tcp_port}))
    async with running(app) as client_for, client_for() as client:
        body = {"refresh_token": author.refresh_token}
        assert (await client.post("/auth/refresh", json=body)).status_code == 200


async def test_a5_without_supabase_the_answer_is_503(settings, author, unused_tcp_port):
    away = f"http://127.0.0.1:{unused_tcp_port}"
    app = create_app(settings.model_copy(update={"supabase_url": away}))
    async with running(app) as client_for, client_for() as client:
        answer = await client.post("/auth/refresh", json={"refresh_token": author.refresh_token})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
