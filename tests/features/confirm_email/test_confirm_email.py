import asyncio
import json

import httpx
import pytest

from features.shared.users import UserChanged
from kernel.boot.app import create_app
from kit.announced import announced
from kit.application import running
from kit.mail import links, token_in
from kit.people import PASSWORD, new_email
from kit.small import changed

WRONG = [
    {},
    {"token": ""},
    {"token": "a\x00b"},
    {"token": ["t"]},
    {"token": "secret-token", "type": "recovery"},
    {"token": "secret-token", "extra": 1},
    "text",
]


@pytest.fixture
async def auth(stack, confirming_supabase_url):
    """Supabase Auth where addresses wait for their confirmation."""
    headers = {"apikey": stack.gateway.anon_key}
    url = f"{confirming_supabase_url}/auth/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


@pytest.fixture
def mailed(mailbox):
    """Returns the token of the newest mail to an address."""

    def find(email):
        [link, *_] = links(mailbox.search(f"to:{email}")[0])[0]
        return token_in(link)

    return find


@pytest.fixture
async def newcomer(auth):
    """An address that has signed up and waits."""
    email = new_email()
    body = {"email": email, "password": PASSWORD, "data": {"display_name": "Grace"}}
    (await auth.post("/signup", json=body)).raise_for_status()
    return email


async def move(auth, person, email):
    headers = {"Authorization": f"Bearer {person.token}"}
    (await auth.put("/user", json={"email": email}, headers=headers)).raise_for_status()


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def entries(database, user_id):
    query = "select action, details ->> 'type' from audit.entries where user_id = $1"
    return [tuple(row) for row in await database.fetch(query, user_id)]


async def test_anyone_may_call(confirming, newcomer, mailed):
    answer = await confirming.post("/auth/confirm", json={"token": mailed(newcomer)})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stale_token_is_no_hindrance(confirming_client_for, newcomer, mailed):
    async with confirming_client_for("not.a.token") as client:
        answer = await client.post("/auth/confirm", json={"token": mailed(newcomer)})
    assert answer.status_code == 200


async def test_a_new_user_gets_a_session_that_works_and_may_log_in(
    confirming, confirming_client_for, auth, newcomer, mailed, database
):
    body = {"email": newcomer, "password": PASSWORD}
    assert (await auth.post("/token?grant_type=password", json=body)).status_code == 400
    answer = await confirming.post("/auth/confirm", json={"token": mailed(newcomer)})
    session = answer.json()["data"]
    assert session["user"]["email"] == newcomer
    assert session["user"]["display_name"] == "Grace"
    assert session["user"]["email_confirmed_at"] is not None
    async with confirming_client_for(session["access_token"]) as client:
        assert (await client.get("/whoami/stored")).json()["data"] == session["user"]
    assert (await auth.post("/token?grant_type=password", json=body)).status_code == 200
    assert ("email_confirmed", "signup") in await entries(database, session["user"]["id"])


async def test_a_confirmation_puts_the_welcome_into_the_outbox(
    confirming, newcomer, mailed, database
):
    answer = await confirming.post("/auth/confirm", json={"token": mailed(newcomer)})
    user_id = answer.json()["data"]["user"]["id"]
    assert (
        await database.fetchval(
            "select count(*) from outbox.events where topic = 'user_confirmed' "
            "and items -> 0 ->> 'user_id' = $1",
            user_id,
        )
        == 1
    )


async def test_a_change_of_address_is_confirmed(confirming, auth, author, mailed, database):
    email = new_email()
    await move(auth, author, email)
    token = mailed(email)
    wrong_type = await confirming.post("/auth/confirm", json={"token": token})
    assert code(wrong_type) == (401, "INVALID_CONFIRMATION_TOKEN")
    body = {"token": token, "type": "email_change"}
    answer = await confirming.post("/auth/confirm", json=body)
    assert answer.json()["data"]["user"]["email"] == email
    assert (await author.get("/whoami/stored")).json()["data"]["email"] == email
    assert await entries(database, author.id) == [("email_confirmed", "email_change")]
    again = await confirming.post("/auth/confirm", json=body)
    assert code(again) == (401, "INVALID_CONFIRMATION_TOKEN")


async def test_reads_of_the_user_are_dropped_before_the_answer(
    settings, valkey, confirming_supabase_url, auth, author, mailed
):
    email = new_email()
    await move(auth, author, email)
    own = changed(settings, supabase_url=confirming_supabase_url)
    async with announced(own, valkey, UserChanged, "user_id") as (client_for, dropped):
        async with client_for() as client:
            body = {"token": mailed(email), "type": "email_change"}
            assert (await client.post("/auth/confirm", json=body)).status_code == 200
        assert dropped() == {str(author.id)}


async def test_returns_409_when_the_new_address_was_taken_meanwhile(
    confirming, auth, author, stranger, mailed, database
):
    email = new_email()
    await move(auth, author, email)
    token = mailed(email)
    await database.execute("update auth.users set email = $1 where id = $2", email, stranger.id)
    body = {"token": token, "type": "email_change"}
    answer = await confirming.post("/auth/confirm", json=body)
    assert code(answer) == (409, "EMAIL_TAKEN")


async def test_returns_202_where_the_other_address_has_to_be_confirmed_too(settings):
    # What GoTrue answers with GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED; the local one has it off.
    said = json.dumps({"code": 200, "msg": "Confirmation link accepted."}).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(said)}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        app = create_app(settings.model_copy(update={"supabase_url": url}))
        async with running(app) as client_for, client_for() as client:
            body = {"token": "first", "type": "email_change"}
            answer = await client.post("/auth/confirm", json=body)
    assert answer.status_code == 202
    assert "other address" in answer.json()["data"]["message"]


async def test_returns_401_for_a_bad_used_or_old_token(
    confirming, auth, newcomer, mailed, database
):
    used = mailed(newcomer)
    await confirming.post("/auth/confirm", json={"token": used})
    old_address = new_email()
    await auth.post("/signup", json={"email": old_address, "password": PASSWORD})
    old = mailed(old_address)
    await database.execute(
        "update auth.one_time_tokens set created_at = created_at - interval '2 hours' "
        "where token_hash = $1",
        old,
    )
    answers = [
        await confirming.post("/auth/confirm", json={"token": token})
        for token in ("bad", used, old)
    ]
    assert [code(answer) for answer in answers] == [(401, "INVALID_CONFIRMATION_TOKEN")] * 3
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


async def test_of_two_at_once_one_gets_the_session(confirming, newcomer, mailed, database):
    body = {"token": mailed(newcomer)}
    answers = await asyncio.gather(*(confirming.post("/auth/confirm", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(confirming, body):
    answer = await confirming.post("/auth/confirm", json=body)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert "secret-token" not in answer.text
