"""R2, R3, R4, R8: the limits in responses to a client."""

import asyncio
from typing import Any

import http_sf
import httpx
import pytest
from fastapi import APIRouter

from kernel import Feature, Limit
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.edge.routes import routes_of
from kernel.supabase import AuthApi
from kernel.web.routing import Answer, Services
from kit.small import feature

ADDRESS = "203.0.113.7"


@pytest.fixture(autouse=True)
async def fresh(redis):
    """Empty logs: no client has called yet."""
    for key in redis.scan_iter("limit:*", count=10_000):
        redis.delete(key)


def parse_list(value: str) -> Any:
    """Parse a structured field with a list. Raises http_sf.StructuredFieldError if malformed."""
    return http_sf.parse(value.encode(), tltype="list")


def policy_field(answer: httpx.Response):
    return parse_list(answer.headers["ratelimit-policy"])


def left(answer: httpx.Response) -> tuple[str, int]:
    """Return the policy with the least remaining requests, and their number."""
    ((name, parameters),) = parse_list(answer.headers["ratelimit"])
    assert set(parameters) == {"r", "t"}
    return name, parameters["r"]


async def test_r3_the_fields_are_structured_and_r_falls_by_one(limited):
    features = {"login": feature(limits=(Limit("10/minute"),))}
    async with limited(features) as client_for, client_for(address=ADDRESS) as client:
        answers = [await client.get("/call") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert [left(answer) for answer in answers] == [
        ("login", number) for number in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0)
    ]
    for answer in answers:
        assert policy_field(answer) == [
            ("default", {"q": 100, "w": 60}),
            ("login", {"q": 10, "w": 60}),
        ]
        ((_, parameters),) = parse_list(answer.headers["ratelimit"])
        assert 1 <= parameters["t"] <= 60
    assert answers[0].headers["ratelimit-policy"] == '"default";q=100;w=60, "login";q=10;w=60'


async def test_r2_the_next_one_is_429_and_succeeds_after_the_wait(limited):
    features = {"call": feature()}
    changes = {"rate_limit_default": "3/2 seconds"}
    async with limited(features, **changes) as client_for, client_for(address=ADDRESS) as client:
        for _ in range(3):
            assert (await client.get("/call")).status_code == 200
        refused = await client.get("/call")
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert error["code"] == "TOO_MANY_REQUESTS"
        assert error["details"] == {"request_id": refused.headers["x-request-id"]}
        assert refused.headers["cache-control"] == "no-store"
        wait = int(refused.headers["retry-after"])
        assert 1 <= wait <= 2
        await asyncio.sleep(wait)  # as Retry-After tells the client
        assert (await client.get("/call")).status_code == 200


async def test_the_default_is_one_bucket_for_all_slices_and_unknown_paths(limited, author):
    features = {"one": feature(name="one"), "two": feature(name="two", caller="optional")}
    async with (
        limited(features, rate_limit_default="5/minute") as client_for,
        client_for(address=ADDRESS) as client,
        client_for(author.token, address=ADDRESS) as signed_in,
    ):
        answers = [
            await client.get("/one"),
            await client.get("/two"),
            await signed_in.get("/two"),
            await client.get("/nowhere"),
            await client.put("/one"),
            await client.get("/two"),
        ]
        elsewhere = client_for(address="203.0.113.8")
        assert left(await elsewhere.get("/one")) == ("default", 4)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 405, 429]
    assert [left(answer)[1] for answer in answers] == [4, 3, 2, 1, 0, 0]


async def test_a_request_that_a_slices_own_policy_refuses_does_not_count_for_the_default(limited):
    features = {"own": feature(name="own", limits=(Limit("2/minute"),)), "other": feature()}
    async with limited(features) as client_for, client_for(address=ADDRESS) as client:
        for _ in range(10):
            await client.get("/own")
        assert left(await client.get("/call")) == ("default", 97)


async def test_limits_are_decided_before_token_and_body(limited):
    features = {"call": feature(caller="required")}
    async with (
        limited(features, rate_limit_default="1/minute") as client_for,
        client_for("not.a.token", address=ADDRESS) as client,
    ):
        refused = await client.get("/call")
        assert (refused.status_code, left(refused)) == (401, ("default", 0))
        assert (await client.get("/call")).status_code == 429
        assert (await client.post("/call", content=b"x" * 2_000_000)).status_code == 429


async def test_r8_health_and_the_documents_are_exempt(limited):
    features = {"health": feature(name="health", limited=False), "call": feature()}
    async with (
        limited(features, rate_limit_default="1/minute") as client_for,
        client_for(address=ADDRESS) as client,
    ):
        for url in ("/health", "http://api.test/docs", "http://api.test/openapi.json"):
            for _ in range(3):
                answer = await client.get(url)
                assert answer.status_code == 200
                assert "ratelimit" not in answer.headers
        assert (await client.get("/call")).status_code == 200
        assert (await client.get("/call")).status_code == 429
        assert (await client.get("/health")).status_code == 200


async def test_pages_of_other_origins_may_read_the_fields_also_of_a_refusal(limited):
    changes = {"cors_origins": "https://app.example", "rate_limit_default": "1/minute"}
    features = {"call": feature()}
    async with limited(features, **changes) as client_for, client_for(address=ADDRESS) as client:
        for status in (200, 429):
            answer = await client.get("/call", headers={"Origin": "https://app.example"})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            exposed = answer.headers["access-control-expose-headers"].lower()
            assert {"ratelimit", "ratelimit-policy", "retry-after"} <= set(exposed.split(", "))


async def test_r4_a_hundred_invented_addresses_of_one_peer_are_one_bucket(limited):
    async with limited({"call": feature()}) as client_for, client_for(address=ADDRESS) as client:
        for number in range(100):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            answer = await client.get("/call", headers=headers)
            assert left(answer) == ("default", 99 - number)


async def test_r4_behind_a_trusted_proxy_addresses_are_separate(limited):
    changes = {"trusted_proxies": "10.0.0.0/8", "rate_limit_default": "2/minute"}
    features = {"call": feature()}
    async with limited(features, **changes) as client_for, client_for(address="10.0.0.1") as client:
        for number in range(100):
            headers = {"X-Forwarded-For": f"192.0.2.1, 198.51.100.{number}"}
            assert left(await client.get("/call", headers=headers)) == ("default", 1)
        same = [
            await client.get("/call", headers={"X-Forwarded-For": f"192.0.2.{number}, 192.0.2.200"})
            for number in range(3)
        ]
    assert [answer.status_code for answer in same] == [200, 200, 429]


async def test_r4_a_hundred_addresses_of_one_network_are_one_bucket(limited):
    async with limited({"call": feature()}) as client_for:
        for number in range(100):
            async with client_for(address=f"2001:db8:0:1::{number:x}") as client:
                assert left(await client.get("/call")) == ("default", 99 - number)


async def test_a9_auth_sees_the_clients_own_address(limited):
    router = APIRouter()

    @router.get("/seen")
    async def seen(services: Services) -> Answer[str]:
        return Answer((await services.aget(AuthApi))._headers["Sb-Forwarded-For"])

    features = {"seen": Feature(router=router, caller="ignored")}
    headers = {"X-Forwarded-For": "192.0.2.1, 2001:db8::7"}
    async with limited(features, trusted_proxies="10.0.0.0/8") as client_for:
        async with client_for(address="10.0.0.1") as client:
            assert (await client.get("/seen", headers=headers)).json()["data"] == "2001:db8::7"
        async with client_for(address=ADDRESS) as client:
            assert (await client.get("/seen", headers=headers)).json()["data"] == ADDRESS


async def test_r7_every_key_of_a_limit_has_a_time_to_live(limited, redis):
    limits = Limit("2/minute"), Limit("20/15 minutes", per="account")
    async with limited({"login": feature(limits=limits)}) as client_for:
        for number in range(5):
            async with client_for(address=f"203.0.113.{number % 2}") as client:
                await client.get("/call")
                await client.get("/nowhere")
    keys = list(redis.scan_iter("limit:*"))
    assert len(keys) == 4
    assert all(0 < redis.pttl(key) <= 61_000 for key in keys)


@pytest.mark.parametrize("package", ["kit.slices", "features"])
def test_openapi_says_that_a_limited_call_may_be_429(settings, package):
    features = discover(package)
    paths = create_app(settings, features).openapi()["paths"]
    for route in routes_of(features):
        operation = paths[route.path][route.method.lower()]
        assert ("429" in operation["responses"]) is route.feature.limited
