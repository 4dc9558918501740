"""A8, measured with an Auth whose own times differ, like the real one's."""

from dataclasses import replace

import httpx
import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running
from kit.people import PASSWORD, new_email
from kit.timing import interleaved

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROUNDS = 20
BOUND_MS = 10.0
BCRYPT_ROUNDS = 10  # as on Supabase


async def refused(client, url, email):
    answer = await client.post(url, json={"email": email, "password": "wrong horse 9"})
    return answer.status_code


async def test_a8_no_address_can_be_told_by_the_time_of_a_refused_login(stack, settings, summary):
    known = new_email()

    async def measure(client, url):
        calls = {
            "wrong password": lambda: refused(client, url, known),
            "unknown address": lambda: refused(client, url, new_email()),
        }
        return await interleaved(calls, rounds=ROUNDS)

    with GatewayThread(replace(stack.gateway, bcrypt_rounds=BCRYPT_ROUNDS)) as gateway:
        headers = {"apikey": gateway.config.anon_key}
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as auth:
            body = {"email": known, "password": PASSWORD}
            (await auth.post("/auth/v1/signup", json=body)).raise_for_status()
            bare = await measure(auth, "/auth/v1/token?grant_type=password")
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}))
        async with running(app) as client_for, client_for() as client:
            found = await measure(client, "/auth/login")
    summary(f"A8 login, medians of {ROUNDS}: {found} (Auth itself: {bare})")
    assert bare.spread > BOUND_MS, "Auth's own times do not differ: this test measures nothing"
    assert set(found.answers) == {401}
    assert found.spread < BOUND_MS
