"""A running system from the outside: what a client sees through the proxy, and its mails.

    ACCEPTANCE_URL=https://127.0.0.1 ACCEPTANCE_INBOX=http://127.0.0.1:8025 \
        .venv/bin/python -m pytest tests/deploy/test_acceptance.py

asks the system there, as the workflow compose.yml does. Without them, one is started for the test.
"""

import contextlib
import os
import ssl
from functools import partial

import httpx
import pytest

from devstack.testing import free_port
from kit.contract import documented
from kit.people import PASSWORD, new_email
from kit.process import until as answers
from kit.proxy import HAPROXY, WHY_NOT
from kit.waiting import until

URL, INBOX = os.environ.get("ACCEPTANCE_URL"), os.environ.get("ACCEPTANCE_INBOX", "")
SETTINGS = {"TRUSTED_PROXIES": "127.0.0.1/32", "LOG_LEVEL": "WARNING"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (URL or HAPROXY), reason=WHY_NOT),
]


@pytest.fixture
async def client(whole_system, proxy):
    """A client of the running system."""
    if URL:
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        async with httpx.AsyncClient(base_url=URL, verify=unchecked, timeout=20) as found:
            found.event_hooks = {"response": [documented()]}
            yield found
        return
    port = free_port()
    await whole_system.start("api", "--port", str(port), ready=False, **SETTINGS)
    for name in ("relay", "worker"):
        await whole_system.start(name, **SETTINGS)
    async with httpx.AsyncClient() as direct:
        await answers(direct, f"http://127.0.0.1:{port}/api/v1/health/readiness", 200)
    async with proxy.before(port) as found:
        found.event_hooks = {"response": [documented()]}
        yield found


@pytest.fixture
def subjects(mailbox):
    """Return the subjects of the mails to an address, by Mailpit's API where that is the inbox."""

    async def of(email):
        if not URL:
            return [mail.subject for mail in mailbox.search(f"to:{email}")]
        async with httpx.AsyncClient(base_url=INBOX) as inbox:
            found = await inbox.get("/api/v1/search", params={"query": f"to:{email}"})
        return [mail["Subject"] for mail in found.json()["messages"]]

    return of


async def has(subjects, email, start):
    return any(one.startswith(start) for one in await subjects(email))


async def test_a_user_signs_up_writes_is_mailed_and_leaves(client, subjects):
    email = new_email()
    account = {"email": email, "password": PASSWORD}
    assert (await client.post("/api/v1/auth/signup", json=account)).status_code == 201
    session = (await client.post("/api/v1/auth/login", json=account)).json()["data"]
    caller = {"Authorization": f"Bearer {session['access_token']}"}
    me = await client.get("/api/v1/users/me", headers=caller)
    assert me.json()["data"]["email"] == email
    body = {"title": "From the outside", "content": "", "published": True}
    post = (await client.post("/api/v1/posts", json=body, headers=caller)).json()["data"]
    listed = (await client.get("/api/v1/posts")).json()["data"]
    assert post["id"] in {one["id"] for one in listed}
    await until(partial(has, subjects, email, "Your post is published"), seconds=60)
    renewed = await client.post(
        "/api/v1/auth/refresh", json={"refresh_token": session["refresh_token"]}
    )
    assert renewed.status_code == 200
    assert (await client.delete(f"/api/v1/posts/{post['id']}", headers=caller)).status_code == 204
    assert (await client.post("/api/v1/auth/logout", headers=caller)).status_code == 204
    assert (await client.get("/api/v1/users/me", headers=caller)).status_code == 401


async def test_everything_works_and_figures_are_not_shown(client):
    health = (await client.get("/api/v1/health")).json()["data"]
    assert health == {"status": "healthy", "redis": "up", "supabase": "up"}
    assert (await client.get("/metrics")).status_code == 404


async def test_https_is_the_only_way_in(client):
    if not URL:
        pytest.skip("tests/deploy/test_proxy.py does this where the proxy is started here")
    plain = str(client.base_url).replace("https://", "http://")
    async with httpx.AsyncClient(base_url=plain) as other:
        with contextlib.suppress(httpx.ConnectError):
            assert (await other.get("/api/v1/posts")).status_code == 308
