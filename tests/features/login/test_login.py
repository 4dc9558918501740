import pytest

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
        assert (await client.get("/users/me")).json()["data"]["id"] == str(author.id)


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
