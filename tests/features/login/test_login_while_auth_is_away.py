import pytest

from kernel.boot.app import create_app
from kernel.supabase.breaker import FAILURES
from kit.application import running
from kit.away import AWAY, assert_refused_while_away, assert_unavailable
from kit.front import fails

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
async def login(settings, front, author):
    known = {"email": author.email, "password": author.password}
    async with running(create_app(front.settings(settings))) as client_for, client_for() as client:
        yield lambda: client.post("/auth/login", json=known)


@pytest.mark.parametrize("behaviour", AWAY.values(), ids=AWAY)
async def test_a5_it_is_503_in_time_and_back_with_auth(front, login, behaviour):
    await assert_refused_while_away(front, behaviour, [login], endpoints=1)


async def test_a5_postgrest_away_stops_no_login_at_auth(front, login):
    front.rest = fails(503)
    for _ in range(FAILURES):
        assert_unavailable(await login())
    before = front.count("auth")
    assert_unavailable(await login())  # the session's user cannot be loaded
    assert front.count("auth") == before + 1
