"""H7: a Supabase that hangs under load gets no extra calls, and other calls do not suffer."""

import asyncio
import time
from collections import Counter
from statistics import quantiles

import httpx
import pytest
import svcs

from kernel.boot.app import create_app
from kernel.supabase import bulkhead, http
from kernel.supabase.breaker import FAILURES, OPEN_SECONDS
from kernel.supabase.http import SupabaseHttp, SupabaseUnavailable
from kit.application import SLICES, running
from kit.front import Front, Seen, reply, silent, works
from kit.waiting import until

AT_ONCE = 30
PLACES = 10


async def test_h7_silent_under_load(settings, front: Front):
    changes = {"supabase_concurrency": PLACES, "supabase_timeout_seconds": 1}
    app = create_app(front.settings(settings, **changes), SLICES)
    asked, answers, alive, over = 0, Counter[int](), list[float](), False

    async def read(client: httpx.AsyncClient) -> None:
        nonlocal asked
        while not over:
            asked += 1
            answers[(await client.get("/things")).status_code] += 1
            await asyncio.sleep(0.02)  # a constant load

    async def live(client: httpx.AsyncClient) -> None:
        while not over:
            started = time.perf_counter()
            assert (await client.get("/alive")).status_code == 200
            alive.append(time.perf_counter() - started)
            await asyncio.sleep(0.02)

    async with running(app) as client_for, client_for() as client, asyncio.TaskGroup() as load:
        load.create_task(live(client))
        for _ in range(AT_ONCE):
            load.create_task(read(client))
        try:
            await until(lambda: answers[200] > 100)
            front.rest = silent
            reached, asked_before, began = len(front.seen), asked, time.monotonic()
            async with svcs.Container(app.state.services) as services:
                breaker = (await services.aget(SupabaseHttp))._guards["rest"]._endpoints["things"]
            await until(lambda: breaker.state == "open")
            # First the calls in progress and those in freed slots; after them, only probes.
            before_probes = PLACES + FAILURES
            await until(lambda: len(front.seen) >= reached + PLACES + 2)
            await until(lambda: answers[503] > 200)
            probes = (time.monotonic() - began) / OPEN_SECONDS
            calls = len(front.seen) - reached
            assert calls <= before_probes + probes
            assert calls <= 1.1 * (asked - asked_before) + probes
            front.rest = works
            before, began = answers[200], time.monotonic()
            await until(lambda: answers[200] > before)
            assert time.monotonic() - began <= 5
        finally:
            over = True
    assert set(answers) == {200, 503}
    assert quantiles(alive, n=100)[98] <= 0.25


async def test_the_bulkhead_bounds_what_is_under_way(settings, front: Front, monkeypatch):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 20)
    under_way, most = 0, 0

    async def watch(seen: Seen) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        await reply(seen, 200, b"{}")

    front.rest = watch
    async with SupabaseHttp(front.settings(settings, supabase_concurrency=3)) as client:
        url = f"{client.base}/rest/v1/posts"
        answers = await asyncio.gather(*(client.get(url) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert most <= 3


async def test_the_deadline_includes_the_wait_for_a_place(settings, front: Front, monkeypatch):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 20)
    monkeypatch.setattr(http, "WAIT_SECONDS", 0.0)
    changes = {"supabase_concurrency": 1, "supabase_timeout_seconds": 1}
    front.rest = silent
    async with SupabaseHttp(front.settings(settings, **changes)) as client:

        async def call() -> float:
            started = time.perf_counter()
            with pytest.raises(SupabaseUnavailable):
                await client.get(f"{client.base}/rest/v1/posts")
            return time.perf_counter() - started

        first = asyncio.create_task(call())
        await until(lambda: front.seen)
        assert await call() < 1.8  # the slot is free after 1 s, when its own deadline ends, too
        await first


@pytest.mark.parametrize("path", ["/", "/storage/v1/object", "/rest/../x"])
async def test_a_path_of_no_known_part_is_a_mistake_of_ours(settings, path):
    async with SupabaseHttp(settings) as client:
        with pytest.raises(ValueError, match="neither Auth nor PostgREST"):
            await client.get(f"{client.base}{path}")
