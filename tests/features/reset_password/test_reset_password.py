import asyncio
from dataclasses import replace

import httpx
import jwt
import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kernel.supabase import AuthApi
from kernel.supabase.http import SupabaseUnavailable
from kit.application import running
from kit.people import PASSWORD

NEW = "a better horse 10"
URL = "/auth/password-reset/confirm"
WRONG = [
    {},
    {"token": "t"},
    {"token": "", "password": NEW},
    {"token": "x" * 257, "password": NEW},
    {"token": "a\x00b", "password": NEW},
    {"token": 7, "password": NEW},
    {"token": "secret-token", "password": "short"},
    {"token": "secret-token", "password": "ü" * 37},
    {"token": "secret-token", "password": NEW, "extra": 1},
    None,
]


@pytest.fixture
async def token_for(stack):
    """Makes tokens as the mail has them: `await token_for(author)`."""
    headers = {"apikey": stack.gateway.service_key}
    headers["Authorization"] = f"Bearer {stack.gateway.service_key}"
    async with httpx.AsyncClient(base_url=stack.supabase_url, headers=headers) as admin:

        async def make(person, kind="recovery"):
            body = {"type": kind, "email": person.email}
            answer = await admin.post("/auth/v1/admin/generate_link", json=body)
            return answer.raise_for_status().json()["hashed_token"]

        yield make


async def reset(client, token, password=NEW):
    return await client.post(URL, json={"token": token, "password": password})


async def can_log_in(supabase, person, password):
    body = {"email": person.email, "password": password}
    answer = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    return answer.is_success


async def sessions(database, person):
    rows = await database.fetch("select id from auth.sessions where user_id = $1", person.id)
    return [str(row["id"]) for row in rows]


def session_of(person):
    return jwt.decode(person.token, options={"verify_signature": False})["session_id"]


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def test_anyone_may_call(anonymous, author, token_for):
    answer = await reset(anonymous, await token_for(author))
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stale_token_is_no_hindrance(client_for, author, token_for):
    async with client_for("not.a.token") as client:
        assert (await reset(client, await token_for(author))).status_code == 204


async def test_the_new_password_counts_and_the_old_one_does_not(
    anonymous, author, token_for, supabase
):
    await reset(anonymous, await token_for(author))
    assert not await can_log_in(supabase, author, PASSWORD)
    assert await can_log_in(supabase, author, NEW)


async def test_a2_all_sessions_end_at_once_and_none_is_left(
    anonymous, author, token_for, database, client_for
):
    assert (await author.get("/whoami/stored")).status_code == 200
    await reset(anonymous, await token_for(author))
    assert code(await author.get("/whoami/stored")) == (401, "SESSION_ENDED")
    assert await sessions(database, author) == []


async def test_others_keep_their_sessions(anonymous, author, stranger, token_for):
    await reset(anonymous, await token_for(author))
    assert (await stranger.get("/whoami/stored")).status_code == 200


async def test_it_is_in_the_audit_log(anonymous, author, token_for, database):
    answer = await reset(anonymous, await token_for(author))
    entry = await database.fetchrow(
        "select * from audit.entries where user_id = $1 and action = 'password_reset'", author.id
    )
    assert entry["request_id"] == answer.headers["x-request-id"]


async def test_returns_401_for_a_bad_used_replaced_or_old_token(
    anonymous, author, stranger, token_for, database
):
    used = await token_for(author)
    await reset(anonymous, used)
    replaced, _ = await token_for(author), await token_for(author)
    old = await token_for(stranger)
    await database.execute(
        "update auth.one_time_tokens set created_at = created_at - interval '2 hours' "
        "where token_hash = $1",
        old,
    )
    answers = [await reset(anonymous, token) for token in ("bad", used, replaced, old)]
    assert [code(answer) for answer in answers] == [(401, "INVALID_RESET_TOKEN")] * 4
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


async def test_returns_401_for_a_closed_account(anonymous, author, token_for, database):
    token = await token_for(author)
    await database.execute(
        "update auth.users set banned_until = now() + interval '1 day' where id = $1", author.id
    )
    assert code(await reset(anonymous, token)) == (401, "INVALID_RESET_TOKEN")


async def test_of_two_at_once_one_wins(anonymous, author, token_for, supabase, database):
    token = await token_for(author)
    choices = [f"{NEW} {number}" for number in range(4)]
    answers = await asyncio.gather(*(reset(anonymous, token, one) for one in choices))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]
    assert await sessions(database, author) == []
    winner = next(i for i, answer in enumerate(answers) if answer.status_code == 204)
    assert [await can_log_in(supabase, author, one) for one in choices] == [
        number == winner for number in range(4)
    ]


async def test_a_password_that_our_rules_refuse_does_not_use_the_token_up(
    anonymous, author, token_for
):
    token = await token_for(author)
    assert (await reset(anonymous, token, "short")).status_code == 422
    assert (await reset(anonymous, token)).status_code == 204


async def test_a_password_that_auth_refuses_changes_nothing_and_leaves_no_session(
    stack, settings, author, token_for, supabase, database
):
    with GatewayThread(replace(stack.gateway, password_min_length=20)) as strict:
        app = create_app(settings.model_copy(update={"supabase_url": strict.url}))
        async with running(app) as client_for, client_for() as client:
            token = await token_for(author)
            assert code(await reset(client, token)) == (422, "WEAK_PASSWORD")
            assert await sessions(database, author) == [session_of(author)]
            assert await can_log_in(supabase, author, PASSWORD)
            assert code(await reset(client, token)) == (401, "INVALID_RESET_TOKEN")
            assert (await reset(client, await token_for(author), NEW * 2)).status_code == 204


async def test_the_same_password_again_is_422_and_changes_nothing(
    anonymous, author, token_for, supabase, database
):
    answer = await reset(anonymous, await token_for(author), PASSWORD)
    assert code(answer) == (422, "SAME_PASSWORD")
    assert await sessions(database, author) == [session_of(author)]
    assert (await author.get("/whoami/stored")).status_code == 200
    assert await can_log_in(supabase, author, PASSWORD)


async def test_a_session_that_cannot_be_ended_is_no_failure_of_the_reset(
    anonymous, author, token_for, supabase, monkeypatch, caplog
):
    async def away(*_):
        raise SupabaseUnavailable

    monkeypatch.setattr(AuthApi, "sign_out", away)
    assert (await reset(anonymous, await token_for(author))).status_code == 204
    assert "not ended" in caplog.text
    assert code(await author.get("/whoami/stored")) == (401, "SESSION_ENDED")
    assert await can_log_in(supabase, author, NEW)


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post(URL, json=body)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert NEW not in answer.text
    assert "secret-token" not in answer.text
