"""`Limit("2/minute", per="user")`: counted by verified user, wherever the requests come from."""

from typing import Any

import http_sf
import pytest
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.limits import Limit
from kernel.web.routing import Answer
from kit.application import running
from kit.small import changed


@pytest.fixture
async def client_for(settings, valkey):
    router = APIRouter()

    @router.post("/export")
    async def export() -> Answer[bool]:
        return Answer(data=True)

    limits = (Limit("2/minute", per="user"),)
    app = create_app(
        changed(settings, redis_port=valkey.port, redis_db=0),
        {"export": Feature(router=router, limits=limits)},
    )
    async with running(app) as client_for:
        yield client_for


def policies_of(answer):
    parsed: Any = http_sf.parse(answer.headers["ratelimit-policy"].encode(), tltype="list")
    return [str(name) for name, _ in parsed]


async def test_one_users_calls_are_counted_together_from_all_addresses(
    client_for, author, stranger, valkey
):
    async with client_for(author.token) as client:
        for left in (1, 0):
            answer = await client.post("/export")
            assert answer.status_code == 200
            assert policies_of(answer) == ["default", "export_user"]
            assert answer.headers["ratelimit"].startswith(f'"export_user";r={left};')
        answer = await client.post("/export")
        assert answer.status_code == 429
        assert '"export_user";q=2;w=60' in answer.headers["ratelimit-policy"]
        assert answer.headers["ratelimit"].startswith('"export_user";r=0;')
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    async with client_for(stranger.token) as client:
        assert (await client.post("/export")).status_code == 200


async def test_r7_each_of_its_keys_has_a_ttl(client_for, author, valkey):
    async with client_for(author.token) as client:
        await client.post("/export")
    keys = list(valkey.client.scan_iter("limit:*"))
    assert any(str(author.id) in str(key) for key in keys)
    assert all(valkey.client.ttl(key) > 0 for key in keys)


async def test_without_a_valid_token_nothing_is_counted_by_user(client_for, valkey):
    async with client_for("no.valid.token") as client:
        assert (await client.post("/export")).status_code == 401
    assert not [key for key in valkey.client.scan_iter("limit:*") if "user:" in str(key)]


async def test_while_redis_is_away_each_process_counts(client_for, author, valkey):
    valkey.kill()
    async with client_for(author.token) as client:
        statuses = [(await client.post("/export")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_it_needs_a_caller():
    with pytest.raises(ValueError, match="per user"):
        Feature(router=APIRouter(), caller="optional", limits=(Limit("1/hour", per="user"),))
