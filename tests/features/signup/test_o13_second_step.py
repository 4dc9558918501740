"""O13: a login completes a sign-up whose second step failed."""

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.front import fails, silent, works
from kit.people import PASSWORD, new_email


@pytest.fixture
async def client(settings, front):
    async with running(create_app(front.settings(settings))) as client_for, client_for() as client:
        yield client


def only(path, behaviour):
    """Return this behaviour for one path, and normal behaviour for all others."""

    async def behave(seen):
        await (behaviour if path in seen.target else works)(seen)

    return behave


async def test_o13_the_user_is_told_to_log_in(client, front):
    front.rest = only("/rpc/me", fails(503))
    known = {"email": new_email(), "password": PASSWORD}
    answer = await client.post("/auth/signup", json=known)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SIGNUP_UNFINISHED"
    assert "retry-after" not in answer.headers


async def test_o13_a_missing_response_of_auth_has_the_same_error(client, front):
    front.auth = only("/signup", silent)
    known = {"email": new_email(), "password": PASSWORD}
    answer = await client.post("/auth/signup", json=known)
    assert answer.json()["error"]["code"] == "SIGNUP_UNFINISHED"
    assert "retry-after" not in answer.headers
