import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.away import AWAY, assert_refused_while_away
from kit.people import PASSWORD, new_email

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.mark.parametrize("behaviour", AWAY.values(), ids=AWAY)
async def test_a5_it_is_503_in_time_and_back_with_auth(settings, front, behaviour):
    async with running(create_app(front.settings(settings))) as client_for, client_for() as client:

        async def signup():
            new = {"email": new_email(), "password": PASSWORD}
            return await client.post("/auth/signup", json=new)

        await assert_refused_while_away(front, behaviour, [signup], endpoints=1)
