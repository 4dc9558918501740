"""The Auth part of the gateway: behaviour that is not in the recording."""

import asyncio
from typing import Any
from uuid import uuid4

import jwt
import pytest
from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage
from supabase_auth.errors import AuthApiError

from devstack.tests.gateway.auth_kit import BASE, PASSWORD, PEM, Gateway, gateway


def official(running: Gateway) -> Any:
    return AsyncGoTrueClient(
        url=BASE,
        headers={"apikey": running.config.anon_key},
        http_client=running.http,
        storage=AsyncMemoryStorage(),
        auto_refresh_token=False,
        persist_session=False,
    )


async def test_the_official_client_signs_up_in_renews_changes_and_leaves(auth):
    client = official(auth)
    email = f"{uuid4().hex}@example.com"
    credentials = {"email": email, "password": PASSWORD}
    signed_up = await client.sign_up({**credentials, "options": {"data": {"name": "Ada"}}})
    assert signed_up.user.user_metadata["name"] == "Ada"

    signed_in = await client.sign_in_with_password(credentials)
    renewed = await client.refresh_session(signed_in.session.refresh_token)
    assert renewed.session.refresh_token != signed_in.session.refresh_token
    assert (await client.get_user(renewed.session.access_token)).user.email == email

    changed = await client.update_user({"password": "another good 1"})
    assert changed.user.id == signed_up.user.id
    with pytest.raises(AuthApiError) as refusal:
        await client.refresh_session(signed_up.session.refresh_token)
    assert str(refusal.value.code) == "refresh_token_not_found"

    await client.sign_out()
    with pytest.raises(AuthApiError) as refusal:
        await client.get_user(renewed.session.access_token)
    assert refusal.value.code == "session_not_found"


async def test_the_official_client_administers_users(auth):
    client: Any = AsyncGoTrueClient(
        url=BASE,
        headers={
            "apikey": auth.config.service_key,
            "Authorization": f"Bearer {auth.config.service_key}",
        },
        http_client=auth.http,
        storage=AsyncMemoryStorage(),
    )
    email = f"{uuid4().hex}@example.com"
    created = await client.admin.create_user(
        {"email": email, "password": PASSWORD, "app_metadata": {"role": "admin"}}
    )
    user_id = created.user.id
    assert created.user.app_metadata["role"] == "admin"
    assert email in [user.email for user in await client.admin.list_users()]
    link = await client.admin.generate_link({"type": "recovery", "email": email})
    opened = await client.verify_otp(
        {"type": "recovery", "token_hash": link.properties.hashed_token}
    )
    assert opened.user.id == user_id
    changed = await client.admin.update_user_by_id(
        user_id, {"app_metadata": {"role": None}, "email": f"new-{email}", "email_confirm": True}
    )
    assert "role" not in changed.user.app_metadata
    assert changed.user.email == f"new-{email}"
    await client.admin.delete_user(user_id)
    with pytest.raises(AuthApiError) as refusal:
        await client.admin.get_user_by_id(user_id)
    assert refusal.value.status == 404


async def test_parallel_refreshes_get_one_session_and_one_token(auth):
    session = await auth.sign_up()
    answers = await asyncio.gather(*(auth.refresh(session["refresh_token"]) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.headers["sb-auth-session-id"] for answer in answers}) == 1


async def test_parent_of_the_current_token_is_good_at_any_time_its_parent_is_not(auth):
    first = (await auth.sign_up())["refresh_token"]
    second = (await auth.refresh(first)).json()["refresh_token"]
    await auth.age()
    assert (await auth.refresh(first)).json()["refresh_token"] == second
    third = (await auth.refresh(second)).json()["refresh_token"]
    await auth.age()
    assert (await auth.refresh(first)).json()["code"] == "refresh_token_already_used"
    assert (await auth.refresh(third)).json()["code"] == "refresh_token_already_used"


async def test_of_parallel_sign_ups_one_wins(auth):
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(auth.http.post("/signup", json=body) for _ in range(5)))
    codes = sorted(answer.json().get("code", "") for answer in answers)
    assert codes == ["", *["user_already_exists"] * 4]


async def test_renewing_and_ending_at_once_never_deadlocks(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    answers = await asyncio.gather(
        *(auth.refresh(session["refresh_token"]) for _ in range(4)),
        auth.http.put("/user", json={"password": "another good 1"}, headers=headers),
        *(auth.http.post(f"/logout?scope={s}", headers=headers) for s in ("others", "global")),
    )
    assert all(answer.status_code < 500 for answer in answers)


async def test_a_session_ends_after_its_timebox(auth):
    session = await auth.sign_up()
    await auth.database.execute(
        "update auth.sessions set created_at = created_at - interval '8 days' where user_id = $1",
        session["user"]["id"],
    )
    answer = await auth.refresh(session["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (400, "session_expired")


PEER, CLIENT = "203.0.113.7", "198.51.100.4"
SECRET = "sb_secret_2cVd7-LgAe4hT3uYb8KqzW0nXf5_RmJ"


@pytest.mark.parametrize(
    ("switched_on", "secret", "sent", "forwarded", "kept"),
    [
        (True, SECRET, SECRET, CLIENT, CLIENT),
        (True, SECRET, SECRET, "nonsense", PEER),
        (True, SECRET, None, CLIENT, PEER),  # the public key
        (False, SECRET, SECRET, CLIENT, PEER),
        (True, None, None, CLIENT, PEER),  # a legacy key: a JWT
    ],
)
async def test_o4_a_session_keeps_the_address_that_was_passed_on(
    postgres_url, switched_on, secret, sent, forwarded, kept
):
    changes = {"service_key": secret} if secret else {}
    async with gateway(postgres_url, forwards_addresses=switched_on, **changes) as auth:
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        key = sent or (auth.config.service_key if secret is None else auth.config.anon_key)
        headers = {"Sb-Forwarded-For": forwarded, "apikey": key}
        answer = await auth.http.post("/signup", json=body, headers=headers)
        ip = await auth.database.fetchval(
            "select host(ip) from auth.sessions where id = $1", answer.headers["sb-auth-session-id"]
        )
        assert ip == kept


async def test_o4_a_secret_key_of_the_newer_form_needs_no_bearer(postgres_url):
    async with gateway(postgres_url, service_key=SECRET) as auth:
        assert (await auth.http.get("/admin/users", headers={"apikey": SECRET})).is_success
        refused = await auth.http.get("/admin/users")
        assert refused.status_code == 401


async def test_a_ban_holds_back_sign_in_and_renewal(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {auth.config.service_key}"}
    url = f"/admin/users/{session['user']['id']}"
    await auth.http.put(url, json={"ban_duration": "1h30m"}, headers=headers)
    assert (await auth.refresh(session["refresh_token"])).json()["code"] == "user_banned"
    await auth.http.put(url, json={"ban_duration": "none"}, headers=headers)
    assert (await auth.refresh(session["refresh_token"])).status_code == 200


async def test_es256_tokens_verify_by_the_published_key(postgres_url):
    async with gateway(postgres_url, signing_key=PEM) as running:
        token = (await running.sign_up())["access_token"]
        keys = jwt.PyJWKSet.from_dict((await running.http.get("/.well-known/jwks.json")).json())
        kid = jwt.get_unverified_header(token)["kid"]
        claims = jwt.decode(token, keys[kid], algorithms=["ES256"], audience="authenticated")
        assert claims["role"] == "authenticated"


async def test_a_change_of_address_waits_for_its_mail(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    wanted = f"{uuid4().hex}@example.com"
    answer = await auth.http.put("/user", json={"email": wanted}, headers=headers)
    assert answer.json()["new_email"] == wanted
    assert auth.inbox.mails[-1]["To"] == wanted
    body = {"type": "email_change", "email": wanted, "token": auth.inbox.last_code}
    user = (await auth.http.post("/verify", json=body)).json()["user"]
    assert user["email"] == user["identities"][0]["email"] == wanted
    assert "new_email" not in user
    assert (await auth.http.post("/verify", json=body)).json()["code"] == "otp_expired"


async def test_a_change_is_confirmed_at_both_addresses_where_that_is_asked_for(postgres_url):
    async with gateway(postgres_url, autoconfirm=False, mail_interval=0) as running:
        user = await running.sign_up()
        confirmed = {"type": "signup", "token_hash": running.inbox.last_hash}
        session = (await running.http.post("/verify", json=confirmed)).json()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        wanted = f"{uuid4().hex}@example.com"
        await running.http.put("/user", json={"email": wanted}, headers=headers)
        assert [mail["To"] for mail in running.inbox.mails[-2:]] == [user["email"], wanted]
        new = {"type": "email_change", "token_hash": running.inbox.last_hash}
        one = await running.http.post("/verify", json=new)
        assert (one.status_code, one.json()["code"]) == (200, "200")
        assert (await running.http.post("/verify", json=new)).json()["code"] == "otp_expired"
        running.inbox.mails.pop()
        both = {"type": "email_change", "token_hash": running.inbox.last_hash}
        answer = await running.http.post("/verify", json=both)
        assert answer.json()["user"]["email"] == wanted


async def test_an_old_session_cannot_change_the_password_where_that_is_asked_for(postgres_url):
    async with gateway(postgres_url, secure_password_change=True) as running:
        session = await running.sign_up()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        await running.database.execute(
            "update auth.sessions set created_at = now() - interval '25 hours'"
        )
        body = {"password": "another horse 10"}
        answer = await running.http.put("/user", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "reauthentication_needed")


async def test_each_use_and_each_change_makes_other_tokens_worthless(auth):
    # GoTrue does the same: Confirm, Recover, ConfirmEmailChange and UpdatePassword clear all
    # tokens.
    session = await auth.sign_up()
    admin = {"Authorization": f"Bearer {auth.config.service_key}"}
    user = session["user"]

    async def token():
        body = {"type": "recovery", "email": user["email"]}
        answer = await auth.http.post("/admin/generate_link", json=body, headers=admin)
        return answer.json()["hashed_token"]

    async def code(hashed):
        answer = await auth.http.post("/verify", json={"type": "recovery", "token_hash": hashed})
        return answer.json().get("code")

    for change in ({"password": "another horse 10"}, {"email_confirm": True}):
        hashed = await token()
        await auth.http.put(f"/admin/users/{user['id']}", json=change, headers=admin)
        assert await code(hashed) == "otp_expired"
    hashed = await token()
    wanted = f"{uuid4().hex}@example.com"
    signed_in = await auth.http.post(
        "/token?grant_type=password",
        json={"email": user["email"], "password": "another horse 10"},
    )
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    await auth.http.put("/user", json={"email": wanted}, headers=headers)
    body = {"type": "email_change", "token_hash": auth.inbox.last_hash}
    assert (await auth.http.post("/verify", json=body)).json()["user"]["email"] == wanted
    assert await code(hashed) == "otp_expired"


async def test_mails_carry_link_and_code(postgres_url):
    async with gateway(postgres_url, autoconfirm=False, mail_interval=0) as running:
        user = await running.sign_up()
        mail = running.inbox.mails[-1]
        assert mail["To"] == user["email"]
        assert running.inbox.last_link.startswith("http://127.0.0.1:54321/auth/v1/verify?token=")
        assert running.inbox.last_link.endswith("&type=signup&redirect_to=http://127.0.0.1:3000")
        assert running.inbox.last_hash in mail.get_body(("html",)).get_content()

        first_code = running.inbox.last_code
        again = {"type": "signup", "email": user["email"]}
        assert (await running.http.post("/resend", json=again)).json() == {}
        body = {"type": "email", "email": user["email"]}
        if first_code != running.inbox.last_code:
            old = await running.http.post("/verify", json={**body, "token": first_code})
            assert old.json()["code"] == "otp_expired"
        await running.http.head("/verify", params={"token": running.inbox.last_hash})
        answer = await running.http.post("/verify", json={**body, "token": running.inbox.last_code})
        assert answer.json()["user"]["email_confirmed_at"]


async def test_an_old_link_is_refused_and_no_link_leads_elsewhere(auth):
    email = (await auth.sign_up())["user"]["email"]
    await auth.http.post(
        "/recover", params={"redirect_to": "https://evil.test"}, json={"email": email}
    )
    assert auth.inbox.last_link.endswith("redirect_to=http://127.0.0.1:3000")
    await auth.database.execute(
        "update auth.one_time_tokens set created_at = created_at - interval '2 hours'"
    )
    query = {"type": "recovery", "token": auth.inbox.last_hash, "redirect_to": "https://evil.test"}
    answer = await auth.http.get("/verify", params=query)
    assert answer.headers["location"].startswith("http://127.0.0.1:3000#error=access_denied")
