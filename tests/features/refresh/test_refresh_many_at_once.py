"""O20: many refreshes of one token are one call of Auth, within a process and across processes."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kernel.boot.app import create_app
from kernel.identity import Refreshes
from kit.application import running
from kit.front import works
from kit.waiting import until


@pytest.fixture
def held(front):
    """Holds calls of Auth until `go` is set; records the highest number of concurrent calls."""
    go, now, most = asyncio.Event(), 0, [0]

    async def hold(seen):
        nonlocal now
        now += 1
        most[0] = max(most[0], now)
        await go.wait()
        now -= 1
        await works(seen)

    front.auth = hold
    return go, most


@asynccontextmanager
async def two_processes(settings, front):
    """Yields clients of two applications that share Supabase and Redis."""
    one, other = (create_app(front.settings(settings)) for _ in range(2))
    async with (
        running(one) as client_of_one,
        running(other) as client_of_other,
        client_of_one() as first,
        client_of_other() as second,
    ):
        yield first, second


async def test_o20_twenty_at_once_are_one_call_of_auth(settings, front, author, held, monkeypatch):
    go, entered = held[0], 0
    original = Refreshes.one_at_a_time

    async def counted(self, token, work):
        nonlocal entered
        entered += 1
        return await original(self, token, work)

    monkeypatch.setattr(Refreshes, "one_at_a_time", counted)
    async with running(create_app(front.settings(settings))) as client_for, client_for() as client:
        body = {"refresh_token": author.refresh_token}
        calls = [asyncio.create_task(client.post("/auth/refresh", json=body)) for _ in range(20)]
        await until(lambda: entered == 20 and front.count("auth"))
        go.set()
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1
    assert front.count("auth") == 1


async def test_o20_processes_take_turns(settings, front, author, held, monkeypatch, patient_redis):
    (go, most), asked = held, 0
    original = Refreshes._granted

    async def counted(self, command):
        nonlocal asked
        granted = await original(self, command)
        asked += 1
        return granted

    monkeypatch.setattr(Refreshes, "_granted", counted)
    async with two_processes(settings, front) as (first, second):
        body = {"refresh_token": author.refresh_token}
        calls = [asyncio.create_task(c.post("/auth/refresh", json=body)) for c in (first, second)]
        await until(lambda: asked >= 3 and front.count("auth"))  # the second has tried again
        go.set()
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1
    assert most[0] == 1


async def test_o20_a_refresh_that_waits_too_long_is_told_to_retry(
    settings, front, author, held, monkeypatch, patient_redis
):
    monkeypatch.setattr("kernel.identity.refreshes.WAIT_SECONDS", 0.0)
    async with two_processes(settings, front) as (first, second):
        body = {"refresh_token": author.refresh_token}
        call = asyncio.create_task(first.post("/auth/refresh", json=body))
        await until(lambda: front.count("auth"))
        answer = await second.post("/auth/refresh", json=body)
        held[0].set()
        assert (await call).status_code == 200
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "REFRESH_BUSY"
    assert answer.headers["retry-after"] == "1"
