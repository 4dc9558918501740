"""X-Cache, Cache-Control and Vary by audience: shared responses, private ones, and drafts."""

from uuid import uuid4

import pytest
from fastapi import APIRouter, Response

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, every_caller, everyone, minutes, one_caller, seconds
from kernel.cache.reads import LARGEST_BYTES
from kernel.errors import Forbidden, Unauthenticated
from kit.application import running
from kit.holding import THING, holding_feature, replicas
from kit.waiting import until

URL = f"/things/{THING}"


def told(answer):
    return answer.status_code, answer.headers["x-cache"], answer.headers["cache-control"]


@pytest.mark.parametrize(("rule", "vary"), [("optional", "Authorization"), ("ignored", None)])
async def test_a_response_for_everyone_is_a_hit_for_everyone(
    own_settings, origin, author, rule, vary
):
    feature = holding_feature(origin, caller=rule)
    async with (
        replicas(own_settings, feature, 1) as (one,),
        one.client() as nobody,
        one.client(author.token) as somebody,
    ):
        answers = [await reader.get(URL) for reader in (nobody, nobody, somebody)]
    states = [(200, state, "no-cache") for state in ("MISS", "HIT", "HIT")]
    assert [told(answer) for answer in answers] == states
    assert {answer.headers.get("vary") for answer in answers} == {vary}
    assert origin.loads == [None]


async def test_a_response_for_every_caller_is_loaded_by_the_first_and_not_shared_with_roles(
    own_settings, origin, author, stranger, admin
):
    feature = holding_feature(origin, caller="required", audience=every_caller)
    async with (
        replicas(own_settings, feature, 1) as (one,),
        one.client(author.token) as first,
        one.client(stranger.token) as second,
        one.client(admin.token) as chief,
    ):
        answers = [await reader.get(URL) for reader in (first, second, chief, chief)]
    states = [(200, state, "private, no-cache") for state in ("MISS", "HIT", "BYPASS", "BYPASS")]
    assert [told(answer) for answer in answers] == states
    assert origin.loads == [author.id, admin.id, admin.id]


async def test_a_response_for_one_caller_is_a_hit_for_that_caller_only(
    own_settings, origin, author, stranger
):
    key = "thing:{thing_id}:{user_id}"
    feature = holding_feature(origin, caller="required", audience=one_caller, key=key)
    async with (
        replicas(own_settings, feature, 1) as (one,),
        one.client(author.token) as first,
        one.client(stranger.token) as second,
    ):
        answers = [await reader.get(URL) for reader in (first, second, first, second)]
    states = [(200, state, "private, no-cache") for state in ("MISS", "MISS", "HIT", "HIT")]
    assert [told(answer) for answer in answers] == states
    assert origin.loads == [author.id, stranger.id]


async def test_a_draft_is_its_authors_and_kept_nowhere(own_settings, origin, author, stranger):
    origin.seen_by = author.id
    async with (
        replicas(own_settings, holding_feature(origin), 1) as (one,),
        one.client() as nobody,
        one.client(author.token) as own,
        one.client(stranger.token) as other,
    ):
        for _ in range(2):
            assert told(await own.get(URL)) == (200, "BYPASS", "private, no-cache")
            assert told(await other.get(URL)) == (404, "BYPASS", "no-store")
        assert told(await nobody.get(URL)) == (404, "HIT", "no-store")
    assert origin.loads.count(None) == 1


@pytest.mark.parametrize("refusal", [Unauthenticated(), Forbidden()])
async def test_what_anonymous_may_not_see_is_loaded_as_the_caller(
    own_settings, origin, author, monkeypatch, refusal
):
    async def load(caller):
        if caller.user_id is None:
            raise refusal
        return "for callers"

    monkeypatch.setattr(origin, "load", load)
    async with (
        replicas(own_settings, holding_feature(origin), 1) as (one,),
        one.client() as nobody,
        one.client(author.token) as somebody,
    ):
        assert (await nobody.get(URL)).status_code == refusal.status
        assert told(await somebody.get(URL)) == (200, "BYPASS", "private, no-cache")


async def test_a_stale_response_is_served_during_its_renewal(own_settings, origin):
    feature = holding_feature(origin, ttl=seconds(0))
    async with replicas(own_settings, feature, 1) as (one,), one.client() as client:
        await client.get(URL)
        origin.hold()
        answer = await client.get(URL)
        assert told(answer) == (200, "STALE", "no-cache")
        assert answer.headers["etag"]
        await origin.loading(2)
        origin.thing = "new"  # the load has already read the old one
        origin.release()
        await until(lambda: not one_flight(one))
        assert told(await client.get(URL))[1] == "STALE"


def one_flight(replica):
    return replica.app.front.services.reads._flights._tasks


async def test_an_answer_that_is_too_large_is_given_and_not_kept(own_settings, origin, valkey):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        for size, state in ((LARGEST_BYTES, "MISS"), (LARGEST_BYTES - 100, "HIT")):
            await one.write(origin, "x" * size)
            await client.get(URL)
            answer = await client.get(URL)
            assert told(answer) == (200, state, "no-cache")
            assert len(answer.json()["data"]) == size
            (key,) = valkey.client.keys("cache:*")
            assert (valkey.client.memory_usage(key) > 1000) is (state == "HIT")


async def test_an_uncached_route_has_no_x_cache(anonymous):
    assert "x-cache" not in (await anonymous.get("/health/liveness")).headers


async def test_a_cookie_is_its_clients_alone_and_other_headers_are_not_lost(own_settings):
    kept = Cached("visit:{number}", ttl=minutes(1), audience=everyone)
    router, visitors = APIRouter(), iter(range(9))

    @router.get("/visits/{number}")
    @kept.serves
    async def visit(number: int, response: Response) -> int:
        name = "Set-Cookie" if number else "X-Visitor"
        response.headers[name] = f"visitor={next(visitors)}"
        return number

    app = create_app(own_settings, {"visit": Feature(router=router, caller="ignored")})
    async with running(app) as client_for, client_for() as client:
        for number, name in ((0, "x-visitor"), (1, "set-cookie")):
            seen = {(await client.get(f"/visits/{number}")).headers[name] for _ in range(3)}
            assert len(seen) == 3


async def test_an_unknown_id_is_not_given_another_readers_request_id(own_settings, origin):
    origin.seen_by = THING
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        for state in ("MISS", "HIT"):
            mine = uuid4().hex
            answer = await client.get(URL, headers={"X-Request-ID": mine})
            assert told(answer) == (404, state, "no-store")
            assert answer.headers["x-request-id"] == mine
            assert answer.json()["error"]["details"]["request_id"] == mine
