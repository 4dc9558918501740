"""O19: a reset is saved before its token is used up, whatever guards the account."""

from dataclasses import replace

from devstack.testing import GatewayThread
from kernel.boot.app import create_app
from kit.application import running

NEW = "a better horse 10"
URL = "/auth/password-reset/confirm"


async def can_log_in(supabase, person, password):
    body = {"email": person.email, "password": password}
    return (await supabase.post("/auth/v1/token?grant_type=password", json=body)).is_success


async def test_o19_a_second_factor_does_not_keep_the_old_password(
    anonymous, author, with_second_factor, mailed_token, supabase
):
    await with_second_factor(author)
    token = await mailed_token(author.email)
    answer = await anonymous.post(URL, json={"token": token, "password": NEW})
    assert answer.status_code == 204, answer.text
    assert await can_log_in(supabase, author, NEW)
    assert not await can_log_in(supabase, author, author.password)


async def test_o19_nor_does_a_project_that_wants_the_current_one(
    stack, settings, author, mailed_token, supabase
):
    guarded = replace(
        stack.gateway, require_current_password=True, captcha=True, email_provider=False
    )
    token = await mailed_token(author.email)
    with GatewayThread(guarded) as gateway:
        app = create_app(settings.model_copy(update={"supabase_url": gateway.url}))
        async with running(app) as client_for, client_for() as client:
            answer = await client.post(URL, json={"token": token, "password": NEW})
            assert answer.status_code == 204, answer.text
    assert await can_log_in(supabase, author, NEW)
