"""A load that fails for many waiting readers, and responses that are sent in parts."""

import asyncio
import logging

import pytest
from fastapi import APIRouter
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, every_caller, everyone, minutes
from kernel.errors import Forbidden, Unauthenticated, Unavailable
from kit.application import running
from kit.holding import THING, holding_feature, replicas
from kit.waiting import until

URL = f"/things/{THING}"
WAITING = 20


async def all_wait(origin, valkey, clients):
    """Let all clients wait for one load that is held open; return their responses."""
    origin.hold()
    valkey.client.config_resetstat()
    tasks = [asyncio.create_task(client.get(URL)) for client in clients]

    def looked_up():
        return valkey.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    await until(lambda: looked_up() == len(clients) + 1)  # the loader looks up a second time
    origin.release()
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("hidden"), 500, "INTERNAL_ERROR"),
        (Unavailable(), 503, "UNAVAILABLE"),
        (Unauthenticated(), 401, "UNAUTHENTICATED"),
    ],
)
async def test_each_waiting_reader_gets_the_error_with_its_own_request_id(
    own_settings, origin, valkey, caplog, error, status, code
):
    origin.fails = error
    feature = holding_feature(origin)
    async with replicas(own_settings, feature, 1) as (one,), one.client() as client:
        logging.getLogger().addHandler(caplog.handler)  # the application has replaced it
        answers = await all_wait(origin, valkey, [client] * WAITING)
    ids = {answer.json()["error"]["details"]["request_id"] for answer in answers}
    assert ids == {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == WAITING
    assert {(one.status_code, one.json()["error"]["code"]) for one in answers} == {(status, code)}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert not any("hidden" in answer.text for answer in answers)
    assert valkey.client.keys("cache:*") == []
    assert valkey.client.keys("lease:*") == []
    for name in {401: ["www-authenticate"], 503: ["retry-after"]}.get(status, []):
        assert all(name in answer.headers for answer in answers)
    assert sum(line.exc_info is not None for line in caplog.records) == (status == 500)


@pytest.mark.parametrize("refusal", [Unauthenticated(), Forbidden()])
async def test_k11_a_refusal_of_the_loading_caller_does_not_affect_the_others(
    own_settings, origin, valkey, author, stranger, monkeypatch, refusal
):
    load = origin.load

    async def of_another_mind(caller):
        found = await load(caller)
        if caller.user_id == author.id:  # as if this account had just been closed
            raise refusal
        return found

    monkeypatch.setattr(origin, "load", of_another_mind)
    feature = holding_feature(origin, caller="required", audience=every_caller)
    async with (
        replicas(own_settings, feature, 1) as (one,),
        one.client(author.token) as first,
        one.client(stranger.token) as second,
    ):
        await second.get("/nothing")  # so that its token is already verified
        answers = await all_wait(origin, valkey, [first, second, second])
    assert [answer.status_code for answer in answers] == [refusal.status, 200, 200]


def odd_answers():
    router = APIRouter()

    def kept(name: str) -> Cached:
        return Cached(f"{name}:{{number}}", ttl=minutes(1), audience=everyone)

    @router.get("/stream/{number}")
    @kept("stream").serves
    async def stream(number: int) -> StreamingResponse:
        return StreamingResponse(parts(number), media_type="application/json")

    @router.get("/away/{number}")
    @kept("away").serves
    async def away(number: int) -> RedirectResponse:
        return RedirectResponse(f"/elsewhere/{number}")

    @router.get("/shape/{number}")
    @kept("shape").serves
    async def shape(number: int) -> JSONResponse:
        return JSONResponse({"error": ["of its own", number]}, 404)

    @router.get("/parts/{number}")
    async def uncached(number: int) -> StreamingResponse:
        return StreamingResponse(parts(number), media_type="application/json")

    return Feature(router=router, caller="ignored")


async def parts(number):
    for index in range(number):
        if index == 3:
            raise RuntimeError("hidden")
        await asyncio.sleep(0)
        yield str(index)
    if number == 0:
        raise RuntimeError("hidden")


@pytest.fixture
async def odd(own_settings):
    app = create_app(own_settings, {"odd": odd_answers()})
    async with running(app) as client_for, client_for() as client:
        yield client


async def test_an_answer_in_parts_passes_through_and_may_be_cached(odd):
    answers = [await odd.get("/stream/2") for _ in range(2)]
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]
    assert {answer.text for answer in answers} == {"01"}
    plain = await odd.get("/parts/3")
    assert (plain.status_code, plain.text) == (200, "012")
    assert "etag" not in plain.headers
    assert plain.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/stream/0", "/stream/4", "/parts/0"])
async def test_a_response_that_fails_before_its_first_part_is_500_in_the_envelope(odd, path):
    answer = await odd.get(path)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert answer.json()["error"]["details"]["request_id"] == answer.headers["x-request-id"]


async def test_a_response_that_fails_after_its_first_part_is_cut_off(odd):
    with pytest.raises(RuntimeError, match="hidden"):
        await odd.get("/parts/4")


async def test_a_redirect_and_a_404_of_another_shape_go_out_as_they_are(odd):
    odd.event_hooks = {}  # kit.contract wants errors in the one format
    for _ in range(2):
        away = await odd.get("/away/1")
        assert (away.status_code, away.headers["location"]) == (307, "/elsewhere/1")
        shape = await odd.get("/shape/1")
        assert (shape.status_code, shape.json()) == (404, {"error": ["of its own", 1]})
