"""A7, measured with an Auth whose own times differ, like the real one's."""

from dataclasses import replace

import httpx
import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running
from kit.people import PASSWORD, new_email
from kit.timing import interleaved

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROUNDS = 15
BOUND_MS = 10.0
BCRYPT_ROUNDS = 10  # as on Supabase


async def sign_up(client, url, email):
    answer = await client.post(url, json={"email": email, "password": PASSWORD})
    return answer.status_code, answer.content


async def test_a7_a_taken_address_cannot_be_told_by_answer_or_time(
    stack, settings, author, smtp_port, summary
):
    waiting = new_email()

    async def measure(client, url):
        calls = {
            "new": lambda: sign_up(client, url, new_email()),
            "taken": lambda: sign_up(client, url, author.email),
            "waiting": lambda: sign_up(client, url, waiting),
        }
        return await interleaved(calls, rounds=ROUNDS)

    config = replace(
        stack.gateway,
        autoconfirm=False,
        mail_interval=60,
        smtp_port=smtp_port,
        bcrypt_rounds=BCRYPT_ROUNDS,
    )
    with GatewayThread(config) as gateway:
        headers = {"apikey": gateway.config.anon_key}
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as auth:
            await sign_up(auth, "/auth/v1/signup", waiting)
            bare = await measure(auth, "/auth/v1/signup")
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}))
        async with running(app) as client_for, client_for() as client:
            found = await measure(client, "/auth/signup")
    summary(f"A7 signup, medians of {ROUNDS}: {found} (Auth itself: {bare})")
    assert bare.spread > BOUND_MS, "Auth's own times do not differ: this test measures nothing"
    assert {status for status, _ in found.answers} == {202}
    assert len(set(found.answers)) == 1
    assert found.spread < BOUND_MS
