import asyncio
import logging
from datetime import datetime

import jwt
import orjson
import pytest
from redis.asyncio import Redis

from kernel.boot.app import create_app
from kit.application import running
from kit.people import PASSWORD, new_email

WRONG = [
    {},
    {"email": "ada@example.com"},
    {"email": "ada", "password": PASSWORD},
    {"email": "ada@example.com", "password": ""},
    {"email": "ada@example.com", "password": "x" * 73},
    {"email": "ada@example.com", "password": "a\x00b"},
    {"email": "ada@example.com", "password": ["a", "list"]},
    {"email": "ada@example.com", "password": PASSWORD, "remember": True},
    "text",
    None,
]


async def test_anyone_may_call(anonymous, author):
    body = {"email": author.email, "password": author.password}
    assert (await anonymous.post("/auth/login", json=body)).status_code == 200


async def test_a_stale_token_is_no_hindrance(client_for, author):
    async with client_for("not.a.token") as client:
        body = {"email": author.email, "password": author.password}
        assert (await client.post("/auth/login", json=body)).status_code == 200


async def test_a_login_begins_a_session_of_that_user(anonymous, author, client_for):
    body = {"email": author.email.upper(), "password": author.password}
    answer = await anonymous.post("/auth/login", json=body)
    session = answer.json()["data"]
    assert session["user"]["id"] == str(author.id)
    assert session["user"]["display_name"] == author.display_name
    assert session["refresh_token"] != author.refresh_token
    assert answer.headers["cache-control"] == "no-store"
    async with client_for(session["access_token"]) as client:
        assert (await client.get("/whoami/stored")).json()["data"]["id"] == str(author.id)


async def test_wrong_password_and_unknown_address_have_the_same_answer(anonymous, author):
    answers = [
        await anonymous.post("/auth/login", json={"email": email, "password": "wrong horse 9"})
        for email in (author.email, new_email())
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    errors = [answer.json()["error"] for answer in answers]
    for error in errors:
        assert error["code"] == "INVALID_CREDENTIALS"
        del error["details"]["request_id"]
    assert errors[0] == errors[1]
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post("/auth/login", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert PASSWORD not in answer.text
    assert "remember" not in answer.text


async def test_a_banned_user_has_the_answer_of_a_wrong_password(anonymous, author, database):
    await database.execute(
        "update auth.users set banned_until = now() + interval '1 day' where id = $1", author.id
    )
    body = {"email": author.email, "password": author.password}
    answer = await anonymous.post("/auth/login", json=body)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_CREDENTIALS"


async def test_a_session_is_written_to_redis_for_an_hour_without_a_token(anonymous, author, stack):
    body = {"email": author.email, "password": author.password}
    session = (await anonymous.post("/auth/login", json=body)).json()["data"]
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    key = f"session:{claims['session_id']}"
    async with Redis.from_url(stack.cache_url) as redis:
        kept = orjson.loads(await redis.get(key) or "")
        assert 3590 < await redis.ttl(key) <= 3600
    started_at = datetime.fromisoformat(kept.pop("started_at"))
    assert abs(started_at.timestamp() - claims["iat"]) < 5
    assert kept == {"user_id": str(author.id), "role": None}


async def test_without_redis_a_login_succeeds(settings, author, unused_tcp_port):
    app = create_app(settings.model_copy(update={"redis_port": unused_tcp_port}))
    async with running(app) as client_for, client_for() as client:
        body = {"email": author.email, "password": author.password}
        assert (await client.post("/auth/login", json=body)).status_code == 200


async def test_logins_are_written_to_the_audit_log_also_those_that_fail(
    client_for, author, database
):
    async with client_for(address="203.0.113.7") as client:
        for password in ("wrong horse 9", author.password):
            body = {"email": author.email.upper(), "password": password}
            answer = await client.post("/auth/login", json=body)
    entries = await database.fetch(
        "select * from audit.entries where user_id = $1 order by id", author.id
    )
    assert [entry["action"] for entry in entries] == ["login_failed", "login"]
    assert orjson.loads(entries[0]["details"]) == {"reason": "invalid_credentials"}
    assert entries[1]["request_id"] == answer.headers["x-request-id"]
    assert {entry["address"] for entry in entries} == {"203.0.113.7"}


async def test_an_attempt_on_an_address_without_account_names_nobody(anonymous, database):
    body = {"email": new_email(), "password": PASSWORD}
    answer = await anonymous.post("/auth/login", json=body)
    entries = await database.fetch(
        "select * from audit.entries where request_id = $1", answer.headers["x-request-id"]
    )
    assert [(entry["action"], entry["user_id"]) for entry in entries] == [("login_failed", None)]
    assert body["email"] not in str(entries)


async def test_a5_no_password_is_in_any_log(anonymous, author, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        for password in ("wrong horse 9", author.password):
            body = {"email": author.email, "password": password}
            answer = await anonymous.post("/auth/login", json=body)
    await asyncio.sleep(0)  # access lines are written at the end of this tick
    written = capfd.readouterr().out
    logged = "\n".join([written, *(str(vars(record)) for record in caplog.records)])
    assert "login" in logged
    session = answer.json()["data"]
    for secret in ("wrong horse 9", author.password, session["access_token"]):
        assert secret not in logged
    assert session["refresh_token"] not in logged
