"""ETag and 304: for cached, loaded and uncached responses (RFC 9110, 13.1.2)."""

import pytest
from fastapi import APIRouter, Response

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache.stored import etag_of
from kernel.web.routing import Answer
from kit.application import running
from kit.holding import THING, holding_feature, replicas

URL = f"/things/{THING}"
KEPT = ("etag", "cache-control", "vary", "x-request-id", "ratelimit-policy", "ratelimit", "x-cache")


@pytest.fixture(params=["MISS", "HIT", "not cached"])
async def known(request, own_settings, origin, valkey):
    """A client, an address whose response has an ETag, and that response."""
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        url = f"{URL}?" + ("" if request.param != "not cached" else "unknown=1")
        answer = await client.get(url)
        if request.param == "MISS":
            valkey.client.flushall()
        yield client, url, answer


async def test_the_etag_is_that_of_the_body(known):
    _, _, answer = known
    assert answer.headers["etag"] == etag_of(answer.content).decode()
    assert answer.headers["etag"].startswith('"')


@pytest.mark.parametrize(
    "sent", ["{}", "W/{}", '"other", {}', '"other",W/{} , "more"', "*", '"other"\n{}']
)
async def test_a_client_that_has_it_gets_304_without_a_body(known, sent):
    client, url, whole = known
    values = sent.format(whole.headers["etag"]).split("\n")
    answer = await client.get(url, headers=[("If-None-Match", value) for value in values])
    assert answer.status_code == 304
    assert answer.content == b""
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers
    for name in ("etag", "cache-control", "vary"):
        assert answer.headers[name] == whole.headers[name]
    assert set(KEPT) <= set(answer.headers)


@pytest.mark.parametrize("sent", ['"other"', 'W/"other"', "{bare}", "**", ""])
async def test_a_client_with_another_etag_gets_the_whole_response(known, sent):
    client, url, whole = known
    sent = sent.replace("{bare}", whole.headers["etag"].strip('"'))
    answer = await client.get(url, headers={"If-None-Match": sent})
    assert (answer.status_code, answer.content) == (200, whole.content)


async def test_a_changed_answer_has_another_etag(own_settings, origin):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        before = (await client.get(URL)).headers["etag"]
        await one.write(origin, "new")
        answer = await client.get(URL, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.json()["data"] == "new"


async def test_errors_have_no_etag_and_must_not_be_stored(own_settings, origin):
    origin.seen_by = THING
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        for _ in range(2):
            answer = await client.get(URL, headers={"If-None-Match": "*"})
            assert answer.status_code == 404
            assert answer.headers["cache-control"] == "no-store"
            assert "etag" not in answer.headers


def other_answers():
    router = APIRouter()

    @router.get("/own-etag")
    async def own_etag() -> Response:
        return Response("text", headers={"ETag": '"mine"'})

    @router.get("/unkept")
    async def unkept() -> Response:
        return Response("text", headers={"Cache-Control": "no-store"})

    @router.post("/written")
    async def written() -> Answer[int]:
        return Answer(1)

    return Feature(router=router, caller="ignored")


async def test_only_cached_responses_get_an_etag(own_settings):
    app = create_app(own_settings, {"other": other_answers()})
    async with running(app) as client_for, client_for() as client:
        own = await client.get("/own-etag", headers={"If-None-Match": '"mine"'})
        assert (own.status_code, own.headers["etag"]) == (304, '"mine"')
        for answer in (await client.get("/unkept"), await client.post("/written")):
            assert "etag" not in answer.headers
            assert answer.headers["cache-control"] == "no-store"
