import asyncio
import json
import logging
from dataclasses import replace

import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running, whole
from kit.people import PASSWORD

NEW = "another horse 10"
WRONG = [
    {},
    {"password": NEW},
    {"current_password": PASSWORD},
    {"current_password": PASSWORD, "password": "short"},
    {"current_password": PASSWORD, "password": "ü" * 37},
    {"current_password": PASSWORD, "password": "nul \x00 inside"},
    {"current_password": "", "password": NEW},
    {"current_password": PASSWORD, "password": NEW, "scope": "global"},
    {"current_password": 7, "password": NEW},
    "text",
    None,
]


@pytest.fixture
def sign_in(supabase):
    async def call(person, password):
        body = {"email": person.email, "password": password}
        return await supabase.post("/auth/v1/token?grant_type=password", json=body)

    return call


@pytest.fixture
async def elsewhere(author, sign_in, client_for):
    """A client with another session of the author."""
    token = (await sign_in(author, PASSWORD)).json()["access_token"]
    async with client_for(token) as client:
        yield client


@pytest.fixture
def sessions(author, database):
    async def ids():
        rows = await database.fetch("select id from auth.sessions where user_id = $1", author.id)
        return {row["id"] for row in rows}

    return ids


def change(client, current=PASSWORD, new=NEW):
    body = {"current_password": current, "password": new}
    return client.post("/users/me/password", json=body)


async def test_only_a_user_may_call(anonymous, client_for):
    answer = await change(anonymous)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    async with client_for("not.a.token") as client:
        assert (await client.post("/users/me/password", json={})).status_code == 401


async def test_the_new_password_counts_and_the_old_one_does_not(author, sign_in):
    answer = await change(author)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"
    assert (await sign_in(author, PASSWORD)).status_code == 400
    assert (await sign_in(author, NEW)).status_code == 200


async def test_a2_other_sessions_end_at_once_and_the_own_one_stays(author, elsewhere, sessions):
    before = await sessions()
    assert (await elsewhere.get("/whoami/stored")).status_code == 200
    assert (await change(author)).status_code == 204
    answer = await elsewhere.get("/whoami/stored")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "SESSION_ENDED"
    assert (await author.get("/whoami/stored")).status_code == 200
    after = await sessions()
    assert len(after) == 1
    assert after < before  # only the own one: the session that proved the password has ended, too


async def test_a_wrong_current_password_is_403_and_changes_nothing(
    author, elsewhere, sign_in, sessions
):
    before = await sessions()
    answer = await change(author, "wrong horse 9")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "WRONG_PASSWORD"
    assert await sessions() == before
    assert (await elsewhere.get("/whoami/stored")).status_code == 200
    assert (await sign_in(author, PASSWORD)).status_code == 200


async def test_the_same_password_again_is_422_and_leaves_no_session(author, elsewhere, sessions):
    before = await sessions()
    answer = await change(author, new=PASSWORD)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "SAME_PASSWORD"
    assert await sessions() == before
    assert (await elsewhere.get("/whoami/stored")).status_code == 200


@pytest.fixture
async def strict(stack, settings, author):
    """The author's client of an application whose Auth requires longer passwords than we do."""
    with GatewayThread(replace(stack.gateway, password_min_length=30)) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}))
        async with running(app) as client_for, client_for(author.token) as client:
            yield client


async def test_a_password_that_auth_refuses_is_422_and_leaves_no_session(strict, sessions):
    before = await sessions()
    answer = await change(strict)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "WEAK_PASSWORD"
    assert await sessions() == before


async def test_a_change_that_fails_leaves_no_session(author, sessions, database):
    before = await sessions()
    # Auth cannot store the password and does not say why: 500.
    await database.execute(
        """create function public.refuse() returns trigger language plpgsql as $$
           begin raise exception 'not today'; end $$;
           create trigger refuse before update of encrypted_password on auth.users
             for each row execute function public.refuse()"""
    )
    try:
        answer = await change(author)
    finally:
        await database.execute("drop trigger refuse on auth.users; drop function public.refuse()")
    assert answer.status_code == 503
    assert await sessions() == before


@pytest.fixture
async def careful(stack, settings):
    """Makes clients of an application with secure_password_change: Auth requires a recent login."""
    with GatewayThread(replace(stack.gateway, secure_password_change=True)) as gateway:
        own = settings.model_copy(update={"supabase_url": gateway.url})
        async with running(create_app(own, whole())) as client_for:
            yield client_for


async def test_s4_the_password_can_be_changed_in_a_session_of_three_days(
    careful, author, long_ago, sign_in, sessions
):
    async with long_ago(author, minutes=3 * 24 * 60) as old:
        token = old.headers["authorization"].removeprefix("Bearer ")
        async with careful(token) as client:
            assert (await change(client, "wrong horse 9")).status_code == 403
            assert (await change(client)).status_code == 204
            # Auth accepts the change only in a recent session, and it ends all others.
            assert (await client.get("/whoami/stored")).json()["error"]["code"] == "SESSION_ENDED"
    assert await sessions() == set()
    assert (await sign_in(author, PASSWORD)).status_code == 400
    assert (await sign_in(author, NEW)).status_code == 200


async def test_s4_a_session_of_three_days_stays_if_auth_does_not_require_a_recent_login(
    author, long_ago
):
    async with long_ago(author, minutes=3 * 24 * 60) as old:
        assert (await change(old)).status_code == 204
        assert (await old.get("/whoami/stored")).status_code == 200


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(author, body):
    answer = await author.post("/users/me/password", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert PASSWORD not in answer.text
    assert NEW not in answer.text


async def test_a_deleted_user_is_401(author, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    assert (await change(author)).status_code == 401


async def test_a_banned_user_is_403(author, database):
    await database.execute(
        "update auth.users set banned_until = now() + interval '1 day' where id = $1", author.id
    )
    assert (await change(author)).status_code == 403


async def test_attempts_and_changes_are_written_to_the_audit_log(author, database):
    await change(author, "wrong horse 9")
    await change(author)
    entries = await database.fetch(
        "select * from audit.entries where user_id = $1 order by id", author.id
    )
    assert [entry["action"] for entry in entries] == ["login_failed", "password_changed"]
    assert {entry["actor_id"] for entry in entries} == {author.id}
    assert json.loads(entries[0]["details"]) == {"reason": "wrong current password"}
    assert json.loads(entries[1]["details"]) == {}


async def test_a5_no_password_and_no_token_is_in_any_log(author, strict, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        await change(author, "wrong horse 9")
        await change(strict)
        await change(author)
        await author.post("/users/me/password", json={"current_password": PASSWORD})
    await asyncio.sleep(0)  # access lines are written at the end of this tick
    written = capfd.readouterr().out
    logged = "\n".join([written, *(str(vars(record)) for record in caplog.records)])
    assert "change_password" in logged
    for secret in (PASSWORD, NEW, "wrong horse 9", author.token, author.refresh_token):
        assert secret not in logged


async def test_a13_guesses_at_the_current_password_are_limited_and_right_ones_are_not(author):
    wrong = {"current_password": "wrong horse 9", "password": "another horse 10"}
    for _ in range(20):
        assert (await author.post("/users/me/password", json=wrong)).status_code == 403
    answer = await author.post("/users/me/password", json=wrong)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert (await author.get("/whoami/stored")).status_code == 200


async def test_s11_the_own_address_is_no_password(author):
    answer = await change(author, new=author.email)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "WEAK_PASSWORD"
