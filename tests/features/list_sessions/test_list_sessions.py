from dataclasses import replace
from datetime import datetime

import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running, whole

WRONG = ["page=0", "page=one", "page=1000000000000000000", "page_size=0", "page_size=101"]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
async def client_for(stack, settings):
    """Clients of an application at whose Auth addresses are forwarded: with a key of that form."""
    key = "sb_secret_2cVd7-LgAe4hT3uYb8KqzW0nXf5_RmJ"
    config = replace(stack.gateway, service_key=key, forwards_addresses=True)
    with GatewayThread(config) as gateway:
        values = settings.model_dump() | {
            "supabase_url": gateway.url,
            "supabase_service_key": key,
        }
        app = create_app(type(settings).model_validate(values), whole())
        async with running(app) as client:
            yield client


@pytest.fixture
def logs_in(client_for):
    """Logs a person in through the API, from an address, with a user agent; returns the session."""

    async def log_in(person, address, device):
        async with client_for(address=address) as client:
            body = {"email": person.email, "password": person.password}
            headers = {} if device is None else {"User-Agent": device}
            if device is None:
                del client.headers["user-agent"]
            answer = await client.post("/enter", json=body, headers=headers)
        return answer.raise_for_status().json()["data"]

    return log_in


async def test_only_a_user_may_call(anonymous, author):
    answer = await anonymous.get("/users/me/sessions")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await author.get("/users/me/sessions")).status_code == 200


async def test_a_session_says_since_when_from_where_and_by_which_device(
    author, logs_in, client_for
):
    session = await logs_in(author, "203.0.113.81", FIREFOX)
    async with client_for(session["access_token"]) as client:
        answer = await client.get("/users/me/sessions")
    assert answer.headers["cache-control"] == "private, no-cache"
    page = answer.json()
    assert (page["page"], page["page_size"], page["total"]) == (1, 20, 2)
    newest, signup = page["data"]
    assert newest["address"] == "203.0.113.81"
    assert newest["device"] == FIREFOX
    assert [newest["current"], signup["current"]] == [True, False]
    for one in page["data"]:
        assert datetime.fromisoformat(one["created_at"]).utcoffset() is not None
        assert one["created_at"] <= one["last_used_at"]


async def test_a_refresh_is_a_use_and_renews_address_and_device(author, logs_in, client_for):
    session = await logs_in(author, "203.0.113.82", FIREFOX)
    async with client_for(address="203.0.113.83") as client:
        body = {"refresh_token": session["refresh_token"]}
        answer = await client.post("/renew", json=body, headers={"User-Agent": "Other/1"})
        answer.raise_for_status()
    newest = (await author.get("/users/me/sessions")).json()["data"][0]
    assert (newest["address"], newest["device"]) == ("203.0.113.83", "Other/1")
    assert newest["created_at"] < newest["last_used_at"]


async def test_a_device_is_short_and_one_line(author, logs_in, database):
    await logs_in(author, "203.0.113.84", b"\xc9x\x07" + b"a" * 3000)
    newest = (await author.get("/users/me/sessions")).json()["data"][0]
    assert newest["device"] == "x " + "a" * 197
    # Auth itself accepts any user agent.
    await database.execute(
        "update auth.sessions set user_agent = E'a\\nb' || repeat('c', 9000) where user_id = $1",
        author.id,
    )
    newest = (await author.get("/users/me/sessions")).json()["data"][0]
    assert newest["device"] == "a b" + "c" * 197


async def test_a_client_without_a_user_agent_has_no_device_and_never_ours(author, logs_in):
    await logs_in(author, "203.0.113.85", None)
    newest = (await author.get("/users/me/sessions")).json()["data"][0]
    assert newest["device"] is None


async def test_sessions_of_others_and_ended_ones_are_not_listed(author, stranger, database):
    mine = (await author.get("/users/me/sessions")).json()
    assert mine["total"] == 1
    theirs = (await stranger.get("/users/me/sessions")).json()
    assert theirs["data"][0]["id"] != mine["data"][0]["id"]
    await database.execute(
        "update auth.sessions set not_after = now() - interval '1 second' where user_id = $1",
        stranger.id,
    )
    assert (await stranger.get("/users/me/sessions")).json()["total"] == 0


async def test_pages_follow_each_other(author, logs_in):
    for _ in range(2):
        await logs_in(author, "203.0.113.86", FIREFOX)
    pages = [
        (await author.get("/users/me/sessions", params={"page": page, "page_size": 2})).json()
        for page in (1, 2, 3)
    ]
    assert [len(page["data"]) for page in pages] == [2, 1, 0]
    assert [page["has_next"] for page in pages] == [True, False, False]
    assert {page["total"] for page in pages} == {3}
    assert len({one["id"] for page in pages for one in page["data"]}) == 3


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422(author, query):
    answer = await author.get(f"/users/me/sessions?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
