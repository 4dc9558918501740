from uuid import uuid4

import jwt
import pytest


def session_id(token):
    return jwt.decode(token, options={"verify_signature": False})["session_id"]


def refused(answer):
    return answer.status_code == 401 and answer.json()["error"]["code"] == "SESSION_ENDED"


@pytest.fixture
async def other(author, supabase, client_for):
    """A second session of the author: its tokens and a client."""
    body = {"email": author.email, "password": author.password}
    answer = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    session = answer.raise_for_status().json()
    async with client_for(session["access_token"]) as session["client"]:
        yield session


async def test_only_a_user_may_call(anonymous):
    answer = await anonymous.delete(f"/users/me/sessions/{uuid4()}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_tokens_of_the_ended_session_are_refused_at_once(
    author, other, supabase, database
):
    assert (await other["client"].get("/whoami/stored")).is_success
    ending = await author.delete(f"/users/me/sessions/{session_id(other['access_token'])}")
    assert ending.status_code == 204
    assert ending.content == b""
    assert refused(await other["client"].get("/whoami/stored"))
    body = {"refresh_token": other["refresh_token"]}
    renewed = await supabase.post("/auth/v1/token?grant_type=refresh_token", json=body)
    assert not renewed.is_success
    assert (await author.get("/whoami/stored")).is_success
    query = "select count(*) from auth.sessions where user_id = $1"
    assert await database.fetchval(query, author.id) == 1


async def test_the_own_session_may_end(author, other):
    url = f"/users/me/sessions/{session_id(author.token)}"
    assert (await author.delete(url)).status_code == 204
    assert refused(await author.get("/whoami/stored"))
    assert (await other["client"].get("/whoami/stored")).is_success


async def test_an_old_login_is_enough(author, other, database):
    """A user who finds a stranger's session must be able to end it, so no password is required."""
    await database.execute(
        "update auth.mfa_amr_claims set created_at = now() - interval '3 days'"
        " where session_id = $1",
        session_id(author.token),
    )
    url = f"/users/me/sessions/{session_id(other['access_token'])}"
    assert (await author.delete(url)).status_code == 204


async def test_another_users_session_does_not_exist(author, stranger):
    for unknown in (session_id(stranger.token), str(uuid4())):
        answer = await author.delete(f"/users/me/sessions/{unknown}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "SESSION_NOT_FOUND"
    assert (await stranger.get("/whoami/stored")).is_success


async def test_an_ended_session_does_not_exist(author, other):
    url = f"/users/me/sessions/{session_id(other['access_token'])}"
    assert (await author.delete(url)).status_code == 204
    assert (await author.delete(url)).status_code == 404


async def test_wrong_input_is_422(author):
    assert (await author.delete("/users/me/sessions/mine")).status_code == 422


async def test_it_is_written_to_the_audit_log(author, other, database):
    ended = session_id(other["access_token"])
    await author.delete(f"/users/me/sessions/{ended}")
    entries = await database.fetch("select * from audit.entries where user_id = $1", author.id)
    assert [entry["action"] for entry in entries] == ["session_ended"]
    assert entries[0]["actor_id"] == author.id
    assert ended in entries[0]["details"]
