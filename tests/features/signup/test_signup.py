import jwt
import pytest

from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kit.application import SLICES, running
from kit.people import PASSWORD, new_email

WRONG = [
    {},
    {"email": "no address", "password": PASSWORD},
    {"email": 7, "password": PASSWORD},
    {"email": "ada@example.com"},
    {"email": "ada@example.com", "password": "short"},
    {"email": "ada@example.com", "password": "ü" * 37},
    {"email": "ada@example.com", "password": "nul \x00 inside"},
    {"email": "ada@example.com", "password": PASSWORD, "display_name": ""},
    {"email": "ada@example.com", "password": PASSWORD, "display_name": "  "},
    {"email": "ada@example.com", "password": PASSWORD, "display_name": "x" * 81},
    {"email": "ada@example.com", "password": PASSWORD, "display_name": "a\x00b"},
    {"email": "ada@example.com", "password": PASSWORD, "role": "admin"},
    {"email": f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.com", "password": PASSWORD},
    ["not", "an", "object"],
]


async def test_anyone_may_call(anonymous):
    answer = await anonymous.post(
        "/auth/signup", json={"email": new_email(), "password": PASSWORD, "display_name": "Ada"}
    )
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stale_token_is_no_hindrance(client_for):
    async with client_for("not.a.token") as client:
        body = {"email": new_email(), "password": PASSWORD}
        assert (await client.post("/auth/signup", json=body)).status_code == 201


async def test_a_new_user_gets_a_session_that_works(anonymous, client_for):
    email = new_email().upper()
    body = {"email": email, "password": PASSWORD, "display_name": " Ada "}
    answer = await anonymous.post("/auth/signup", json=body)
    session = answer.json()["data"]
    assert session["token_type"] == "bearer"
    assert session["expires_in"] == 1800
    assert session["user"]["email"] == email.lower()
    assert session["user"]["display_name"] == "Ada"
    assert session["user"]["email_confirmed_at"] is not None
    async with client_for(session["access_token"]) as client:
        me = await client.get("/whoami/stored")
    assert me.json()["data"] == session["user"]


async def test_a_new_users_first_read_is_answered_from_the_cache(settings):
    app = create_app(settings, {**discover(), "read_mine": SLICES["read_mine"]})
    async with running(app) as client_for:
        async with client_for() as client:
            body = {"email": new_email(), "password": PASSWORD}
            session = (await client.post("/auth/signup", json=body)).json()["data"]
        async with client_for(session["access_token"]) as client:
            answer = await client.get("/mine")
    assert answer.headers["x-cache"] == "HIT"
    assert answer.json()["data"] == session["user"]


async def test_a_display_name_is_optional(anonymous):
    body = {"email": new_email(), "password": PASSWORD}
    answer = await anonymous.post("/auth/signup", json=body)
    assert answer.json()["data"]["user"]["display_name"] is None


async def test_a_taken_address_is_409_in_any_case(anonymous, author):
    body = {"email": author.email.upper(), "password": PASSWORD}
    answer = await anonymous.post("/auth/signup", json=body)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "EMAIL_TAKEN"


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post("/auth/signup", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert PASSWORD not in answer.text
    assert "admin" not in answer.text
    assert "no address" not in answer.text


async def test_nobody_signs_up_as_an_admin(anonymous):
    body = {"email": new_email(), "password": PASSWORD, "display_name": "admin"}
    token = (await anonymous.post("/auth/signup", json=body)).json()["data"]["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert "role" not in claims["app_metadata"]
    assert claims["role"] == "authenticated"


@pytest.mark.parametrize(
    ("sent", "kept"), [("de-AT,de;q=0.9,en;q=0.8", "de-at"), ("*", None), ("<script>", None)]
)
async def test_a_new_users_language_is_the_clients(anonymous, database, sent, kept):
    body = {"email": new_email(), "password": PASSWORD}
    answer = await anonymous.post("/auth/signup", json=body, headers={"Accept-Language": sent})
    user_id = answer.json()["data"]["user"]["id"]
    found = "select language from public.account($1)"
    assert await database.fetchval(found, user_id) == kept
