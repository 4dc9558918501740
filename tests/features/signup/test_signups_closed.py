"""If sign-ups are closed by the settings, nobody signs up, and no account is revealed."""

from dataclasses import replace

import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running
from kit.people import PASSWORD, new_email

USERS = "select count(*) from auth.users"


@pytest.fixture(params=[True, False], ids=["confirmed at once", "confirmed by mail"])
async def client(request, own_stack, smtp_port):
    """A client of an application with a separate database and settings."""
    config = replace(own_stack.gateway.config, autoconfirm=request.param, smtp_port=smtp_port)
    with GatewayThread(config) as gateway:
        changed = own_stack.settings.model_copy(update={"supabase_url": gateway.url})
        async with running(create_app(changed)) as client_for, client_for() as client:
            yield client


@pytest.fixture
def switch(own_stack):
    """Closes and opens sign-ups: `await switch(signups_open=False)`."""

    async def switch(*, signups_open):
        await own_stack.sql.execute("update public.settings set signups_open = $1", signups_open)

    return switch


async def sign_up(client, email):
    answer = await client.post("/auth/signup", json={"email": email, "password": PASSWORD})
    error = answer.json().get("error", {})
    error.get("details", {}).pop("request_id", None)
    return answer.status_code, error


async def test_new_and_taken_addresses_are_403_alike(client, own_stack, switch):
    taken = new_email()
    assert (await sign_up(client, taken))[0] in {201, 202}
    await own_stack.sql.execute("update auth.users set email_confirmed_at = now()")
    waiting = new_email()
    assert (await sign_up(client, waiting))[0] in {201, 202}
    await switch(signups_open=False)
    before = await own_stack.sql.fetchval(USERS)
    answers = [await sign_up(client, email) for email in (new_email(), taken, waiting)]
    assert {status for status, _ in answers} == {403}
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1]["code"] == "SIGNUPS_CLOSED"
    assert await own_stack.sql.fetchval(USERS) == before


async def test_wrong_input_is_422_all_the_same(client, switch):
    await switch(signups_open=False)
    assert (await sign_up(client, "no address"))[0] == 422


async def test_an_open_site_takes_new_users_at_once(client, switch):
    email = new_email()
    await switch(signups_open=False)
    assert (await sign_up(client, email))[0] == 403
    await switch(signups_open=True)
    assert (await sign_up(client, email))[0] in {201, 202}
