"""A cached response keeps its Link header, and no other header of its own."""

import asyncio

import pytest
from fastapi import APIRouter, Response

from kernel import Feature
from kernel.cache import Cached, everyone, minutes
from kernel.core.caller import ANONYMOUS
from kit.holding import replicas

LINK = '</api/v1/things?page=1>; rel="first"'


def linked(origin, **headers):
    router = APIRouter()

    @router.get("/things")
    @Cached("things", ttl=minutes(5), audience=everyone).serves
    async def read_things(response: Response) -> str:
        response.headers.update(headers)
        return await origin.load(ANONYMOUS)

    return Feature(router=router, caller="ignored")


async def test_a_hit_and_a_304_have_the_link_of_the_miss(own_settings, origin):
    feature = linked(origin, link=LINK)
    async with replicas(own_settings, feature, 2) as (one, two), one.client() as client:
        miss, hit = await client.get("/things"), await client.get("/things")
        async with two.client() as other:
            elsewhere = await other.get("/things")
        known = {"If-None-Match": miss.headers["etag"]}
        unchanged = await client.get("/things", headers=known)
    answers = [miss, hit, elsewhere, unchanged]
    assert [one.headers["x-cache"] for one in answers] == ["MISS", "HIT", "HIT", "HIT"]
    assert [one.status_code for one in answers] == [200, 200, 200, 304]
    assert {one.headers["link"] for one in answers} == {LINK}


async def test_who_waits_for_the_load_of_another_process_gets_its_link(own_settings, origin):
    async with (
        replicas(own_settings, linked(origin, link=LINK), 2) as (one, two),
        one.client() as here,
        two.client() as there,
    ):
        origin.hold()
        first = asyncio.create_task(here.get("/things"))
        await origin.loading()
        second = asyncio.create_task(there.get("/things"))
        await asyncio.sleep(0)
        origin.release()
        answers = await asyncio.gather(first, second)
    assert {one.headers["link"] for one in answers} == {LINK}


async def test_several_link_headers_are_stored_as_one(own_settings, origin):
    router = APIRouter()

    @router.get("/things")
    @Cached("things", ttl=minutes(5), audience=everyone).serves
    async def read_things(response: Response) -> str:
        response.headers.append("link", "<a>; rel=next")
        response.headers.append("link", "<b>; rel=prev")
        return "things"

    feature = Feature(router=router, caller="ignored")
    async with replicas(own_settings, feature, 1) as (one,), one.client() as client:
        answers = [await client.get("/things") for _ in range(2)]
    assert [one.headers["x-cache"] for one in answers] == ["MISS", "HIT"]
    assert {one.headers["link"] for one in answers} == {"<a>; rel=next, <b>; rel=prev"}


@pytest.mark.parametrize("name", ["set-cookie", "x-own", "location"])
async def test_a_response_with_another_header_beside_it_is_not_stored(own_settings, origin, name):
    feature = linked(origin, **{"link": LINK, name: "a=b"})
    async with replicas(own_settings, feature, 1) as (one,), one.client() as client:
        answers = [await client.get("/things") for _ in range(2)]
    assert [one.headers["x-cache"] for one in answers] == ["MISS", "MISS"]
    assert {(one.headers["link"], one.headers[name]) for one in answers} == {(LINK, "a=b")}


async def test_a_link_that_is_longer_than_a_value_may_have_is_not_stored(own_settings, origin):
    feature = linked(origin, link="x" * 2**16)
    async with replicas(own_settings, feature, 1) as (one,), one.client() as client:
        answers = [await client.get("/things") for _ in range(2)]
    assert [one.headers["x-cache"] for one in answers] == ["MISS", "MISS"]
