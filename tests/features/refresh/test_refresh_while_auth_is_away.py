import secrets

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.away import AWAY, assert_refused_while_away

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.mark.parametrize("behaviour", AWAY.values(), ids=AWAY)
async def test_a5_it_is_503_in_time_and_back_with_auth(settings, front, author, behaviour):
    async with running(create_app(front.settings(settings))) as client_for, client_for() as client:
        token = author.refresh_token

        async def refresh():
            nonlocal token
            answer = await client.post("/auth/refresh", json={"refresh_token": token})
            if answer.is_success:
                token = answer.json()["data"]["refresh_token"]
            return answer

        async def another():  # calls with one token are one call of Auth
            body = {"refresh_token": secrets.token_hex(6)}
            return await client.post("/auth/refresh", json=body)

        await assert_refused_while_away(front, behaviour, [refresh, another], endpoints=1)
