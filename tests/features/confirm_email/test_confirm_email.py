import asyncio

import httpx
import pytest

from features.shared.users import UserChanged
from kernel.supabase import AuthAdmin
from kernel.supabase.http import SupabaseUnavailable
from kit.announced import announced
from kit.people import PASSWORD, new_email
from kit.small import changed

pytestmark = pytest.mark.usefixtures("relay_rests")

NEW = "a better horse 10"
WRONG = [
    {},
    {"token": ""},
    {"token": "a\x00b"},
    {"token": ["t"]},
    {"token": "secret-token", "type": "recovery"},
    {"token": "secret-token", "type": "email_change_undo"},
    {"token": "secret-token", "password": "short"},
    {"token": "secret-token", "extra": 1},
    "text",
]


@pytest.fixture
async def auth(stack, confirming_supabase_url):
    """A client of a Supabase Auth that requires confirmed addresses."""
    headers = {"apikey": stack.gateway.anon_key}
    url = f"{confirming_supabase_url}/auth/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


@pytest.fixture
async def newcomer(claim):
    """An address that has signed up and is not confirmed yet."""
    email = new_email()
    await claim(email, PASSWORD, "Grace")
    return email


@pytest.fixture
def moving(database, author, mailed_token):
    """The author requests a new address; returns the token in the mail to it."""

    async def ask(email):
        query = "select public.request_email_change($1, $2)"
        assert await database.fetchval(query, author.id, email) == "requested"
        return await mailed_token(email, "email_change")

    return ask


async def confirm(client, token, kind="signup", **fields):
    return await client.post("/auth/confirm", json={"token": token, "type": kind, **fields})


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def entries(database, user_id):
    query = "select action, details ->> 'type' from audit.entries where user_id = $1 order by id"
    return [tuple(row) for row in await database.fetch(query, user_id)]


async def test_anyone_may_call(confirming, newcomer, mailed_token):
    answer = await confirming.post(
        "/auth/confirm", json={"token": await mailed_token(newcomer, "signup")}
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stale_token_is_no_hindrance(confirming_client_for, newcomer, mailed_token):
    async with confirming_client_for("not.a.token") as client:
        assert (await confirm(client, await mailed_token(newcomer, "signup"))).status_code == 200


async def test_a_new_user_gets_a_session_that_works_and_may_log_in(
    confirming, confirming_client_for, newcomer, mailed_token, database, logs_in
):
    assert not await logs_in(newcomer, PASSWORD)
    answer = await confirm(confirming, await mailed_token(newcomer, "signup"))
    session = answer.json()["data"]
    assert session["user"]["email"] == newcomer
    assert session["user"]["display_name"] == "Grace"
    assert session["user"]["email_confirmed_at"] is not None
    async with confirming_client_for(session["access_token"]) as client:
        assert (await client.get("/whoami/stored")).json()["data"] == session["user"]
    assert await logs_in(newcomer, PASSWORD)
    assert ("email_confirmed", "signup") in await entries(database, session["user"]["id"])


async def test_a_confirmation_puts_the_welcome_into_the_outbox(
    confirming, newcomer, mailed_token, database
):
    answer = await confirm(confirming, await mailed_token(newcomer, "signup"))
    user_id = answer.json()["data"]["user"]["id"]
    assert (
        await database.fetchval(
            "select count(*) from outbox.events where topic = 'user_confirmed' "
            "and items -> 0 ->> 'user_id' = $1",
            user_id,
        )
        == 1
    )


async def test_a_confirmation_may_choose_another_password(
    confirming, newcomer, mailed_token, logs_in
):
    token = await mailed_token(newcomer, "signup")
    assert (await confirm(confirming, token, password=NEW)).status_code == 200
    assert not await logs_in(newcomer, PASSWORD)
    assert await logs_in(newcomer, NEW)


async def test_after_several_sign_ups_of_an_address_no_password_and_no_name_is_kept(
    confirming, newcomer, mailed_token, database, claim, logs_in
):
    await claim(newcomer, "the owner's own 1", "Owner")
    token = await mailed_token(newcomer, "signup")
    for _ in range(2):  # a refusal does not consume the token
        assert code(await confirm(confirming, token)) == (422, "PASSWORD_REQUIRED")
    assert not await logs_in(newcomer, PASSWORD)
    answer = await confirm(confirming, token, password=NEW)
    assert answer.status_code == 200
    assert answer.json()["data"]["user"]["display_name"] is None
    for password in (PASSWORD, "the owner's own 1", NEW):
        assert await logs_in(newcomer, password) == (password == NEW)
    claims = "select count(*) from identity.claims c join auth.users u on u.id = c.user_id"
    assert await database.fetchval(f"{claims} where u.email = $1", newcomer) == 0


async def test_a_sign_up_at_auth_itself_counts_as_well(confirming, auth, mailed_token, claim):
    email = new_email()
    (await auth.post("/signup", json={"email": email, "password": PASSWORD})).raise_for_status()
    await claim(email, NEW)
    token = await mailed_token(email, "signup")
    assert code(await confirm(confirming, token)) == (422, "PASSWORD_REQUIRED")


async def test_a_password_that_is_refused_does_not_spend_the_token(
    confirming, newcomer, mailed_token
):
    token = await mailed_token(newcomer, "signup")
    refused = await confirm(confirming, token, password="short")
    assert code(refused) == (422, "VALIDATION_ERROR")
    assert (await confirm(confirming, token, password=NEW)).status_code == 200


async def test_while_auth_is_away_the_token_is_kept_and_auth_keeps_none(
    confirming, newcomer, mailed_token, monkeypatch, database
):
    token = await mailed_token(newcomer, "signup")
    made = AuthAdmin.one_time_token

    async def away(*arguments):
        await made(*arguments)
        raise SupabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(AuthAdmin, "one_time_token", away)
        assert (await confirm(confirming, token)).status_code == 503
    query = "select count(*) from auth.one_time_tokens where relates_to = $1"
    assert await database.fetchval(query, newcomer) == 0
    assert (await confirm(confirming, token)).status_code == 200


async def test_a_change_of_address_is_confirmed(confirming, moving, author, database):
    email = new_email()
    token = await moving(email)
    assert code(await confirm(confirming, token)) == (401, "INVALID_CONFIRMATION_TOKEN")
    answer = await confirm(confirming, token, "email_change")
    assert answer.json()["data"]["user"]["email"] == email
    assert (await author.get("/whoami/stored")).json()["data"]["email"] == email
    assert ("email_confirmed", "email_change") in await entries(database, author.id)
    again = await confirm(confirming, token, "email_change")
    assert code(again) == (401, "INVALID_CONFIRMATION_TOKEN")


async def test_reads_of_the_user_are_dropped_before_the_answer(
    settings, valkey, confirming_supabase_url, moving, author
):
    token = await moving(new_email())
    own = changed(settings, supabase_url=confirming_supabase_url)
    async with announced(own, valkey, UserChanged, "user_id") as (client_for, dropped):
        async with client_for() as client:
            assert (await confirm(client, token, "email_change")).status_code == 200
        assert dropped() == {str(author.id)}


async def test_of_two_wanted_addresses_the_second_counts(confirming, moving):
    first = await moving(new_email())
    second = await moving(new_email())
    refused = await confirm(confirming, first, "email_change")
    assert code(refused) == (401, "INVALID_CONFIRMATION_TOKEN")
    assert (await confirm(confirming, second, "email_change")).status_code == 200


async def test_returns_409_when_the_new_address_was_taken_meanwhile(
    confirming, moving, stranger, database
):
    email = new_email()
    token = await moving(email)
    await database.execute("update auth.users set email = $1 where id = $2", email, stranger.id)
    assert code(await confirm(confirming, token, "email_change")) == (409, "EMAIL_TAKEN")


async def test_an_unproven_account_on_the_new_address_makes_way(
    confirming, moving, author, claim, logs_in
):
    email = new_email()
    token = await moving(email)
    await claim(email, "a squatter's own 1")
    assert (await confirm(confirming, token, "email_change")).status_code == 200
    assert (await author.get("/whoami/stored")).json()["data"]["email"] == email
    assert not await logs_in(email, "a squatter's own 1")


async def test_returns_401_for_a_bad_used_or_old_token(
    confirming, newcomer, mailed_token, database, claim
):
    used = await mailed_token(newcomer, "signup")
    await confirm(confirming, used)
    old_address = new_email()
    await claim(old_address, PASSWORD)
    old = await mailed_token(old_address, "signup")
    await database.execute(
        "update identity.mailed_tokens set expires_at = now() where email = $1", old_address
    )
    answers = [await confirm(confirming, token) for token in ("bad", "x" * 64, used, old)]
    assert [code(answer) for answer in answers] == [(401, "INVALID_CONFIRMATION_TOKEN")] * 4
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


async def test_of_two_at_once_one_gets_the_session(confirming, newcomer, mailed_token):
    token = await mailed_token(newcomer, "signup")
    answers = await asyncio.gather(*(confirm(confirming, token) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(confirming, body):
    answer = await confirming.post("/auth/confirm", json=body)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert "secret-token" not in answer.text


async def test_s11_the_own_address_is_no_password_and_leaves_the_token(
    confirming, newcomer, mailed_token
):
    token = await mailed_token(newcomer, "signup")
    refused = await confirm(confirming, token, password=newcomer)
    assert code(refused) == (422, "WEAK_PASSWORD")
    assert (await confirm(confirming, token, password=NEW)).status_code == 200
