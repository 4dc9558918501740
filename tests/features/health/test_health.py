import pytest

from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.config.settings import Settings
from kernel.supabase import breaker
from kernel.supabase.breaker import FAILURES
from kit.application import SLICES, running
from kit.front import refuses, works
from kit.waiting import until

HEALTH = ("/health", "/health/readiness", "/health/liveness")


@pytest.fixture
def without_supabase(settings: Settings, unused_tcp_port) -> Settings:
    """Settings with an address where no server listens."""
    return Settings.model_validate(
        settings.model_dump() | {"supabase_url": f"http://127.0.0.1:{unused_tcp_port}"}
    )


@pytest.mark.parametrize("path", HEALTH)
async def test_anyone_may_call(anonymous, client_for, path):
    async with client_for("not.a.token") as stale:
        for client in (anonymous, stale):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.json()["success"] is True
            assert answer.headers["cache-control"] == "no-store"


async def test_a_whole_system_is_healthy(anonymous):
    health = (await anonymous.get("/health")).json()["data"]
    assert health == {"status": "healthy", "redis": "up", "supabase": "up"}


async def test_h6_health_says_which_part_is_down(settings, unused_tcp_port, without_supabase):
    without_redis = settings.model_copy(update={"redis_port": unused_tcp_port})
    cases = [(without_redis, "down", "up"), (without_supabase, "up", "down")]
    for changed, redis, supabase in cases:
        async with running(create_app(changed)) as client_for, client_for() as client:
            answer = await client.get("/health")
        assert answer.status_code == 200
        assert answer.json()["data"] == {
            "status": "degraded",
            "redis": redis,
            "supabase": supabase,
        }


async def test_h6_not_ready_before_the_first_success(without_supabase):
    async with running(create_app(without_supabase)) as client_for, client_for() as client:
        answer = await client.get("/health/readiness")
        assert answer.status_code == 503
        assert answer.headers["retry-after"].isdigit()
        assert answer.json()["error"]["code"] == "NOT_READY"
        assert (await client.get("/health/liveness")).status_code == 200


async def test_h6_ready_without_redis(settings, unused_tcp_port):
    without_redis = settings.model_copy(update={"redis_port": unused_tcp_port})
    async with running(create_app(without_redis)) as client_for, client_for() as client:
        assert (await client.get("/health/readiness")).status_code == 200


async def test_r8_it_is_exempt_from_limits(client_for):
    async with client_for(address="203.0.113.7") as client:
        for path in ("/health", "/health/readiness", "/health/liveness"):
            answers = [await client.get(path) for _ in range(40)]
            assert {answer.status_code for answer in answers} == {200}
            assert "ratelimit-policy" not in answers[-1].headers


async def test_it_sees_past_an_open_breaker(settings, front, author, monkeypatch):
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 60.0)
    known = {"email": author.email, "password": author.password}
    app = create_app(front.settings(settings), {**discover(), "enter": SLICES["enter"]})
    async with running(app) as client_for, client_for() as client:

        async def shows(state: str) -> bool:
            return (await client.get("/health")).json()["data"]["supabase"] == state

        assert await shows("up")
        front.auth = refuses
        for _ in range(FAILURES):
            assert (await client.post("/enter", json=known)).status_code == 503
        await until(lambda: shows("down"))
        front.auth = works
        before = front.count("auth")
        await until(lambda: shows("up"))
        refused = await client.post("/enter", json=known)  # only a real login closes its breaker
        assert refused.status_code == 503
        asked = [seen.target for seen in front.seen if seen.part == "auth"][before:]
        assert set(asked) == {"/auth/v1/health"}
