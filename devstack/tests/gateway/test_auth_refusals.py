"""The Auth part of the gateway: failures, refusals and invalid input."""

import json
from typing import Any
from uuid import uuid4

import jwt
import pytest

from devstack.tests.gateway.auth_kit import PASSWORD, gateway


@pytest.mark.parametrize(
    ("settings", "status"), [({"smtp_port": None}, 501), ({"smtp_port": 1}, 500)]
)
async def test_a_mail_that_cannot_be_sent_undoes_the_sign_up(postgres_url, settings, status):
    async with gateway(postgres_url, autoconfirm=False, **settings) as running:
        body = {"email": "ada@example.com", "password": PASSWORD}
        answer = await running.http.post("/signup", json=body)
        assert answer.status_code == status
        assert await running.database.fetchval("select count(*) from auth.users") == 0


async def test_a_trigger_without_security_definer_fails_as_in_production(postgres_url):
    async with gateway(postgres_url) as running:
        await running.database.execute(
            """
            create table public.profiles (id uuid primary key);
            create function public.make_profile() returns trigger language plpgsql as
              'begin insert into public.profiles values (new.id); return new; end';
            create trigger make_profile after insert on auth.users
              for each row execute function public.make_profile();
            """
        )
        body = {"email": "ada@example.com", "password": PASSWORD}
        answer = await running.http.post("/signup", json=body)
        assert answer.status_code == 500
        assert answer.json()["message"] == "Database error saving new user"

        await running.database.execute("alter function public.make_profile() security definer")
        assert (await running.http.post("/signup", json=body)).status_code == 200


LONG = "x" * 1_000_000


WRONG_VALUES: list[Any] = [
    None,
    7,
    1e308,
    True,
    [],
    {},
    "",
    "\0",
    "a\0b",
    "\ud800",
    "%00",
    LONG,
    "é@é.é",
]


CALLS = {
    "POST /signup": ("email", "password", "data", "phone", "code_challenge"),
    "POST /token?grant_type=password": ("email", "password"),
    "POST /token?grant_type=refresh_token": ("refresh_token",),
    "POST /recover": ("email",),
    "POST /resend": ("type", "email"),
    "POST /verify": ("type", "token", "token_hash", "email"),
    "PUT /user": ("email", "password", "data"),
    "POST /admin/users": ("email", "password", "user_metadata", "role", "id", "ban_duration"),
    "POST /admin/generate_link": ("type", "email", "redirect_to"),
}


GOOD = {"email": "x@example.com", "password": PASSWORD, "type": "signup", "token_hash": "abc"}


@pytest.mark.parametrize("call", CALLS)
async def test_no_input_is_a_server_error(auth, call):
    method, url = call.split()
    person = (await auth.sign_up())["access_token"]
    bearer = auth.config.service_key if "/admin" in url else person
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    bodies = [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"email": 1e999}', b"[" * 100_000]
    for name in CALLS[call]:
        bodies += [json.dumps({**GOOD, name: value}).encode() for value in WRONG_VALUES]
        bodies.append(json.dumps({**GOOD, name: {"a": "\0"}}).encode())
    for body in bodies:
        answer = await auth.http.request(method, url, content=body, headers=headers)
        assert answer.status_code < 500 or answer.status_code == 501, (body[:80], answer.text)
        assert answer.status_code == 200 or {"code", "message"} <= set(answer.json())


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("GET /verify", 400, "validation_failed"),
        ("GET /verify?type=signup", 400, "validation_failed"),
        ("GET /verify?type=signup&token=%00", 400, "validation_failed"),
        ("GET /admin/users?page=0", 400, "validation_failed"),
        ("GET /admin/users?per_page=99999999999999999999", 400, "validation_failed"),
        ("GET /admin/users?filter=%00", 400, "validation_failed"),
        ("GET /admin/users/%00", 404, "validation_failed"),
        ("POST /logout?scope=nowhere", 400, "validation_failed"),
        ("POST /token?grant_type=pkce", 501, "not_implemented"),
        ("POST /otp", 501, "not_implemented"),
        ("GET /authorize?provider=github", 501, "not_implemented"),
        ("POST /sso", 501, "not_implemented"),
    ],
)
async def test_refusals(auth, call, status, code):
    method, url = call.split()
    person = (await auth.sign_up())["access_token"]
    bearer = auth.config.service_key if "/admin" in url else person
    answer = await auth.http.request(method, url, headers={"Authorization": f"Bearer {bearer}"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "é.é.é", jwt.encode({"sub": "x"}, "", algorithm="none"), "." * 100_000],
)
async def test_bad_tokens_are_refused(auth, token):
    answer = await auth.http.get("/user", headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status_code == (403 if token else 401)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"role": "anon"}, "bad_jwt"),
        ({"sub": "x"}, "bad_jwt"),
        ({"sub": 7}, "bad_jwt"),
        ({"sub": str(uuid4()), "session_id": str(uuid4())}, "user_not_found"),
        ({"sub": str(uuid4()), "exp": 1e300}, "bad_jwt"),
        ({"sub": str(uuid4()), "session_id": []}, "bad_jwt"),
    ],
)
async def test_signed_nonsense_is_refused(auth, claims, code):
    token = jwt.encode(claims, auth.config.jwt_secret, algorithm="HS256")
    answer = await auth.http.get("/user", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (403, code)


async def test_only_the_service_role_administers(auth):
    person = (await auth.sign_up())["access_token"]
    for bearer in (person, auth.config.anon_key):
        answer = await auth.http.get("/admin/users", headers={"Authorization": f"Bearer {bearer}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_admin")


async def test_the_gateway_wants_a_key_except_where_mails_and_verifiers_come(auth):
    for url in ("/health", "/.well-known/jwks.json", "/verify?type=signup&token=x"):
        assert (await auth.http.get(url, headers={"apikey": ""})).status_code < 400
    assert (await auth.http.get("/settings", headers={"apikey": ""})).status_code == 401
    assert (await auth.http.get("/settings", headers={"apikey": "wrong"})).status_code == 401
    url = f"/settings?apikey={auth.config.anon_key}"
    assert (await auth.http.get(url, headers={"apikey": ""})).status_code == 200
