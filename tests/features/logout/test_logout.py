from datetime import UTC, datetime
from ipaddress import ip_address
from uuid import UUID

import jwt
import pytest
from redis.asyncio import Redis

from kernel.boot.app import create_app
from kernel.core.caller import Caller
from kernel.identity.sessions import SessionStore
from kit.application import CLIENTS, running, whole

WRONG = [{"scope": "everything"}, {"scope": None}, {"scope": ["local"]}, {"all": True}, [], "local"]


@pytest.fixture
async def sessions(author, supabase, client_for):
    """Clients with three sessions of the author; the first is the caller's."""
    clients = [author.client]
    for _ in range(2):
        body = {"email": author.email, "password": author.password}
        answer = await supabase.post("/auth/v1/token?grant_type=password", json=body)
        clients.append(client_for(answer.raise_for_status().json()["access_token"]))
    yield clients
    for client in clients[1:]:
        await client.aclose()


async def alive(clients):
    answers = [await client.get("/whoami/stored") for client in clients]
    for answer in answers:
        assert answer.is_success or answer.json()["error"]["code"] == "SESSION_ENDED"
    return [answer.is_success for answer in answers]


async def test_only_a_user_may_call(anonymous, client_for):
    answer = await anonymous.post("/auth/logout")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    async with client_for("not.a.token") as client:
        assert (await client.post("/auth/logout", json={"scope": "all"})).status_code == 401


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"Content-Type": "application/json"}},
        {"headers": {"Content-Type": "application/json"}, "content": b""},
        {"json": {}},
        {"json": None, "content": b"null", "headers": {"Content-Type": "application/json"}},
        {"json": {"scope": "local"}},
    ],
)
async def test_a2_without_a_scope_only_the_own_session_ends(sessions, options):
    answer = await sessions[0].post("/auth/logout", **options)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"
    assert await alive(sessions) == [False, True, True]


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("local", [False, True, True]),
        ("others", [True, False, False]),
        ("global", [False, False, False]),
    ],
)
async def test_a2_the_ended_sessions_are_refused_at_once(
    sessions, author, stranger, supabase, scope, left
):
    assert (await sessions[0].post("/auth/logout", json={"scope": scope})).status_code == 204
    assert await alive(sessions) == left
    assert await alive([stranger.client]) == [True]
    renewed = await supabase.post(
        "/auth/v1/token?grant_type=refresh_token", json={"refresh_token": author.refresh_token}
    )
    assert renewed.is_success == left[0]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_and_ends_nothing(author, body):
    answer = await author.post("/auth/logout", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert await alive([author.client]) == [True]


async def test_after_a_logout_another_logout_is_401(author):
    assert (await author.post("/auth/logout")).status_code == 204
    assert (await author.post("/auth/logout")).status_code == 401


@pytest.mark.parametrize(("scope", "status"), [("local", 204), ("others", 401), ("global", 401)])
async def test_an_ended_session_ends_no_other_and_does_not_say_so(
    sessions, supabase, scope, status
):
    # The session ended at Auth itself, and the API does not know it yet.
    await supabase.post("/auth/v1/logout?scope=local", headers=sessions[0].headers)
    answer = await sessions[0].post("/auth/logout", json={"scope": scope})
    assert answer.status_code == status
    assert await alive(sessions[1:]) == [True, True]


async def test_what_redis_knows_of_the_session_is_dropped(sessions, author, stack):
    authorization = sessions[1].headers["authorization"]
    claims = jwt.decode(authorization.split()[1], options={"verify_signature": False})
    key = f"session:{claims['session_id']}"
    holder = Caller(user_id=author.id, session_id=UUID(claims["session_id"]))
    async with Redis.from_url(stack.cache_url) as redis:
        await SessionStore(redis).keep(holder, datetime.now(UTC))  # as a login does
        assert await redis.exists(key)
        assert (await author.post("/auth/logout", json={"scope": "others"})).status_code == 204
        assert not await redis.exists(key)


async def test_a_logout_is_written_to_the_audit_log(author, database):
    answer = await author.post("/auth/logout", json={"scope": "global"})
    entries = await database.fetch("select * from audit.entries where user_id = $1", author.id)
    assert [entry["action"] for entry in entries] == ["logout"]
    assert entries[0]["actor_id"] == author.id
    assert entries[0]["details"] == '{"scope": "global"}'
    assert entries[0]["request_id"] == answer.headers["x-request-id"]
    assert ip_address(entries[0]["address"]) in CLIENTS


async def test_a2_without_redis_the_own_replica_refuses_at_once(settings, author, unused_tcp_port):
    app = create_app(settings.model_copy(update={"redis_port": unused_tcp_port}), whole())
    async with running(app) as client_for, client_for(author.token) as client:
        assert await alive([client]) == [True]
        assert (await client.post("/auth/logout")).status_code == 204
        assert await alive([client]) == [False]
