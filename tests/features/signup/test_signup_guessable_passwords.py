"""Passwords that attackers guess first: the user's own address, and the most common ones."""

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole
from kit.people import new_email
from kit.small import changed


@pytest.fixture
async def strict(settings):
    """A client of an application that refuses the most common passwords."""
    app = create_app(changed(settings, refuse_common_passwords=True), whole())
    async with running(app) as client_for, client_for() as client:
        yield client


async def sign_up(client, password, email=None):
    body = {"email": email or new_email(), "password": password}
    answer = await client.post("/auth/signup", json=body)
    return answer.status_code, answer.json().get("error", {}).get("code")


async def test_s11_the_own_address_is_no_password(anonymous, confirming, claim):
    for client in (anonymous, confirming):
        email = new_email()
        for password in (email, email.upper(), email.partition("@")[0]):
            assert await sign_up(client, password, email) == (422, "WEAK_PASSWORD")
    await claim(waiting := new_email())  # the response does not reveal the unconfirmed account
    assert await sign_up(confirming, waiting, waiting) == (422, "WEAK_PASSWORD")


@pytest.mark.parametrize("password", ["password", "PassWord", "12345678", "baseball", "iloveyou"])
async def test_s11_the_commonest_passwords_are_refused_where_it_is_set(strict, password):
    assert await sign_up(strict, password) == (422, "WEAK_PASSWORD")


async def test_s11_they_are_refused_in_production_by_default(settings, anonymous, strict):
    assert changed(settings, app_env="production").refuses_common_passwords
    assert (await sign_up(anonymous, "password"))[0] == 201
    assert (await sign_up(strict, "correct horse 9"))[0] == 201


async def test_s11_64_characters_fit_and_a_longer_password_says_why_not(anonymous):
    assert (await sign_up(anonymous, "ab cd ef" * 8))[0] == 201
    assert (await sign_up(anonymous, "é" * 8 + "x" * 56))[0] == 201
    body = {"email": new_email(), "password": "é" * 64}
    answer = await anonymous.post("/auth/signup", json=body)
    assert answer.status_code == 422
    assert "72 bytes" in answer.text
