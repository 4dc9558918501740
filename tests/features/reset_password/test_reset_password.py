import asyncio
from dataclasses import replace

import jwt
import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kernel.supabase import AuthAdmin
from kernel.supabase.http import SupabaseUnavailable
from kit.application import running, whole
from kit.people import PASSWORD, new_email
from kit.small import changed
from kit.waiting import many

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
def token_for(mailed_token):
    """Makes tokens as mails contain them: `await token_for(author)`."""

    async def make(person):
        return await mailed_token(person.email)

    return make


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
        "update identity.mailed_tokens set expires_at = now() where user_id = $1", stranger.id
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


async def test_a_password_that_auth_refuses_changes_nothing_and_leaves_the_token(
    stack, settings, author, token_for, supabase, database
):
    with GatewayThread(replace(stack.gateway, password_min_length=20)) as strict:
        app = create_app(settings.model_copy(update={"supabase_url": strict.url}))
        async with running(app) as client_for, client_for() as client:
            token = await token_for(author)
            assert code(await reset(client, token)) == (422, "WEAK_PASSWORD")
            assert await sessions(database, author) == [session_of(author)]
            assert await can_log_in(supabase, author, PASSWORD)
            assert (await reset(client, token, NEW * 2)).status_code == 204
            assert code(await reset(client, token, NEW * 2)) == (401, "INVALID_RESET_TOKEN")


async def test_while_auth_is_away_the_token_is_kept(anonymous, author, token_for, monkeypatch):
    async def away(*_, **__):
        raise SupabaseUnavailable

    token = await token_for(author)
    with monkeypatch.context() as patched:
        patched.setattr(AuthAdmin, "change", away)
        assert (await reset(anonymous, token)).status_code == 503
    assert (await reset(anonymous, token)).status_code == 204


async def test_a_saved_password_has_used_the_token_up_whatever_follows(
    anonymous, author, token_for, monkeypatch, supabase
):
    change = AuthAdmin.change

    async def answer_lost(*arguments, **attributes):
        await change(*arguments, **attributes)
        raise SupabaseUnavailable

    token = await token_for(author)
    with monkeypatch.context() as patched:
        patched.setattr(AuthAdmin, "change", answer_lost)
        assert (await reset(anonymous, token)).status_code == 503
    assert code(await reset(anonymous, token)) == (401, "INVALID_RESET_TOKEN")
    assert await can_log_in(supabase, author, NEW)


async def test_the_same_password_again_counts_and_ends_the_sessions(
    anonymous, author, token_for, supabase
):
    assert (await reset(anonymous, await token_for(author), PASSWORD)).status_code == 204
    assert code(await author.get("/whoami/stored")) == (401, "SESSION_ENDED")
    assert await can_log_in(supabase, author, PASSWORD)


async def test_a_reset_proves_the_address(anonymous, claim, mailed_token, logs_in):
    email = new_email()
    await claim(email, PASSWORD)
    assert not await logs_in(email, PASSWORD)
    assert (await reset(anonymous, await mailed_token(email))).status_code == 204
    assert await logs_in(email, NEW)
    assert not await logs_in(email, PASSWORD)


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post(URL, json=body)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert NEW not in answer.text
    assert "secret-token" not in answer.text


async def test_s11_the_own_address_is_no_password_and_leaves_the_token(
    anonymous, author, token_for
):
    token = await token_for(author)
    assert code(await reset(anonymous, token, author.email)) == (422, "WEAK_PASSWORD")
    assert (await reset(anonymous, token)).status_code == 204


async def test_s11_the_reader_of_the_mail_is_not_locked_out_by_others_guesses(
    settings, valkey, patient_redis, token_for, author
):
    own = changed(settings, redis_port=valkey.port, redis_db=0)
    async with (
        running(create_app(own, whole())) as client_for,
        client_for(address="203.0.113.30") as home,
        client_for() as thief,
    ):
        assert (await reset(home, await token_for(author))).status_code == 204
        guess = {"email": author.email, "password": "a guess 123"}
        answers = await many(21, lambda: thief.post("/enter", json=guess))
        assert {one.status_code for one in answers} == {401, 429}
        body = {"email": author.email, "password": NEW}
        assert (await home.post("/enter", json=body)).status_code == 200
