"""O19: accounts with a second factor, projects that want the current password, no address."""

from dataclasses import replace

import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running, whole
from kit.people import PASSWORD

BODY = {"current_password": PASSWORD, "password": "another horse 10"}


def change(client):
    return client.post("/users/me/password", json=BODY)


async def test_o19_a_second_factor_must_be_proved(author, with_second_factor, client_for):
    async with client_for(await with_second_factor(author)) as unproved:
        answer = await change(unproved)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "SECOND_FACTOR_REQUIRED")
    assert (await change(author)).status_code == 204


async def test_o19_a_project_may_want_the_current_password(stack, settings, author):
    with GatewayThread(replace(stack.gateway, require_current_password=True)) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}), whole())
        async with running(app) as client_for, client_for(author.token) as client:
            assert (await change(client)).status_code == 204


async def test_o19_without_an_address_no_password_proves_anything(without_email):
    answer = await change(without_email)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "WRONG_PASSWORD")


@pytest.mark.parametrize("setting", [{"captcha": True}, {"email_provider": False}])
async def test_o19_settings_that_refuse_logins_are_503(stack, settings, author, setting):
    with GatewayThread(replace(stack.gateway, **setting)) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}), whole())
        async with running(app) as client_for, client_for(author.token) as client:
            answer = await change(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "AUTH_CONFIGURATION")
    assert int(answer.headers["retry-after"]) > 0
