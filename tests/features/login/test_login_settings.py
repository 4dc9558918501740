"""O12, O19: settings of the project that refuse every login are 503, and no attempt is lost."""

from dataclasses import replace

import pytest

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running


@pytest.mark.parametrize("setting", [{"captcha": True}, {"email_provider": False}])
async def test_o12_a_login_that_no_setting_allows(stack, settings, author, setting):
    with GatewayThread(replace(stack.gateway, **setting)) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}))
        async with running(app) as client_for, client_for() as client:
            body = {"email": author.email, "password": author.password}
            answer = await client.post("/auth/login", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "AUTH_CONFIGURATION")
    assert int(answer.headers["retry-after"]) > 0


async def test_o19_a_second_factor_does_not_stop_a_login(anonymous, author, with_second_factor):
    await with_second_factor(author)
    body = {"email": author.email, "password": author.password}
    assert (await anonymous.post("/auth/login", json=body)).status_code == 200
