"""Auth's part of the gateway: kinds of users, and settings of projects, beyond the usual."""

import asyncio
import time
from uuid import uuid4

import jwt
import pytest

from devstack.gateway.auth.factors import code
from devstack.tests.gateway.auth_kit import PASSWORD, gateway


def code_of(answer):
    return answer.status_code, answer.json()["code"]


async def test_o19_an_anonymous_user_has_a_session_and_no_address(postgres_url, auth):
    assert code_of(await auth.http.post("/signup", json={})) == (422, "anonymous_provider_disabled")
    async with gateway(postgres_url, anonymous_users=True) as own:
        session = (await own.http.post("/signup", json={"data": {"a": 1}})).json()
        assert session["user"]["is_anonymous"] is True
        assert session["user"]["email"] == ""
        claims = jwt.decode(session["access_token"], options={"verify_signature": False})
        assert claims["amr"][0]["method"] == "anonymous"
        assert (await own.refresh(session["refresh_token"])).status_code == 200


async def test_o19_a_user_with_a_telephone_number_alone_signs_in(auth):
    key = {"Authorization": f"Bearer {auth.config.service_key}"}
    known = {"phone": "491700000000", "password": PASSWORD}
    made = await auth.http.post("/admin/users", json={**known, "phone_confirm": True}, headers=key)
    assert made.status_code == 200, made.text
    session = await auth.http.post("/token?grant_type=password", json=known)
    assert session.json()["user"]["phone"] == "491700000000"
    wrong = {**known, "password": "wrong wrong"}
    answer = await auth.http.post("/token?grant_type=password", json=wrong)
    assert code_of(answer) == (400, "invalid_credentials")


async def test_o19_a_second_factor_raises_the_session_and_guards_the_account(auth):
    session = await auth.sign_up()
    user = {"Authorization": f"Bearer {session['access_token']}"}

    async def post(path, **body):
        return await auth.http.post(path, json=body, headers=user)

    factor = (await post("/factors", factor_type="totp", friendly_name="mine")).json()
    place = f"/factors/{factor['id']}"
    right = code(factor["totp"]["secret"], time.time())
    wrong = f"{(int(right) + 1) % 10**6:06}"
    first, second = [(await post(f"{place}/challenge")).json()["id"] for _ in range(2)]
    nobody = await post(f"{place}/verify", challenge_id=str(uuid4()), code=right)
    assert code_of(nobody) == (422, "mfa_factor_not_found")
    answer = await post(f"{place}/verify", challenge_id=first, code=wrong)
    assert code_of(answer) == (422, "mfa_verification_failed")
    raised = await post(f"{place}/verify", challenge_id=second, code=right)
    assert raised.status_code == 200, raised.text
    claims = jwt.decode(raised.json()["access_token"], options={"verify_signature": False})
    assert claims["aal"] == "aal2"
    assert {one["method"] for one in claims["amr"]} == {"password", "totp"}

    known = {"email": session["user"]["email"], "password": PASSWORD}
    plain = (await auth.http.post("/token?grant_type=password", json=known)).json()
    for change in ({"password": "another good 1"}, {"email": f"{uuid4().hex}@example.com"}):
        headers = {"Authorization": f"Bearer {plain['access_token']}"}
        refused = await auth.http.put("/user", json=change, headers=headers)
        assert code_of(refused) == (401, "insufficient_aal")
    headers = {"Authorization": f"Bearer {raised.json()['access_token']}"}
    changed = await auth.http.put("/user", json={"password": "another good 1"}, headers=headers)
    assert changed.status_code == 200


async def test_o19_a_new_password_needs_the_current_one(postgres_url):
    async with gateway(postgres_url, require_current_password=True) as auth:
        session = await auth.sign_up()
        headers = {"Authorization": f"Bearer {session['access_token']}"}

        async def change(**more):
            body = {"password": "another good 1", **more}
            return await auth.http.put("/user", json=body, headers=headers)

        assert code_of(await change()) == (400, "current_password_required")
        answer = await change(current_password="wrong wrong")
        assert code_of(answer) == (400, "current_password_invalid")
        assert (await change(current_password=PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"captcha": True}, (400, "captcha_failed")),
        ({"email_provider": False}, None),
    ],
)
async def test_o19_settings_that_refuse_logins(postgres_url, settings, refused):
    async with gateway(postgres_url, **settings) as auth:
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        up = await auth.http.post("/signup", json=body)
        into = await auth.http.post("/token?grant_type=password", json=body)
        assert code_of(up) == (refused or (400, "email_provider_disabled"))
        assert code_of(into) == (refused or (422, "email_provider_disabled"))
        said = (await auth.http.get("/settings")).json().get("external", {"email": True})
        assert said["email"] is settings.get("email_provider", True)


async def test_o20_as_slow_as_a_real_one(postgres_url):
    settings = {"refresh_seconds": 0.2, "mail_seconds": 0.2, "autoconfirm": False}
    async with gateway(postgres_url, **settings) as auth:
        started = time.monotonic()
        user = await auth.sign_up()
        assert time.monotonic() - started >= 0.2
        key = {"Authorization": f"Bearer {auth.config.service_key}"}
        confirmed = {"email_confirm": True}
        await auth.http.put(f"/admin/users/{user['id']}", json=confirmed, headers=key)
        known = {"email": user["email"], "password": PASSWORD}
        session = (await auth.http.post("/token?grant_type=password", json=known)).json()
        started = time.monotonic()
        answers = await asyncio.gather(*(auth.refresh(session["refresh_token"]) for _ in range(3)))
        assert time.monotonic() - started >= 0.6
        assert {answer.status_code for answer in answers} == {200}
