"""A5: while Auth is unavailable, calls without it work, and calls that need it fail fast."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kernel.supabase import breaker
from kernel.supabase.breaker import FAILURES
from kit.application import SLICES, running
from kit.away import (
    AWAY,
    BACK_SECONDS,
    again_and_again,
    assert_refused_while_away,
    assert_unavailable,
    refused_at_once,
    succeeds,
)
from kit.front import Front, fails, refuses, works
from kit.people import PASSWORD, Person, new_email
from kit.waiting import until


class Caller:
    """A client that enters, joins and renews a session, and reads with a token."""

    def __init__(self, client: httpx.AsyncClient, person: Person) -> None:
        self.client = client
        self._known = {"email": person.email, "password": person.password}
        self._renewal = {"refresh_token": person.refresh_token}

    async def enter(self) -> httpx.Response:
        return await self.client.post("/enter", json=self._known)

    async def join(self) -> httpx.Response:
        new = {"email": new_email(), "password": PASSWORD}
        return await self.client.post("/join", json=new)

    async def renew(self) -> httpx.Response:
        return await self.client.post("/renew", json=self._renewal)

    async def me(self) -> httpx.Response:
        return await self.client.get("/mine")


@asynccontextmanager
async def calling(settings: Settings, front: Front, person: Person) -> AsyncIterator[Caller]:
    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for(person.token) as client:
        yield Caller(client, person)


@pytest.mark.parametrize("behaviour", AWAY.values(), ids=AWAY)
async def test_a5_auth_away(settings, front: Front, author: Person, behaviour):
    async with calling(settings, front, author) as caller, again_and_again(caller.me) as read:
        calls = caller.enter, caller.renew, caller.join
        await assert_refused_while_away(front, behaviour, calls, endpoints=3)
        assert (await caller.renew()).status_code == 200
    assert {answer.status_code for answer in read} == {200}
    assert len(read) > 10


async def test_a5_nobody_listens_at_all(settings, front: Front, author: Person):
    async with calling(settings, front, author) as caller:
        assert (await caller.me()).status_code == 200
        await front.close()
        for call in (caller.me, caller.enter):
            for _ in range(FAILURES):
                assert_unavailable(await call())
        await until(lambda: refused_at_once(caller.me, caller.enter))
        await front.listen()
        started = time.perf_counter()
        for call in (caller.me, caller.enter):
            await until(partial(succeeds, call))
        assert time.perf_counter() - started <= BACK_SECONDS


async def test_a5_postgrest_away_stops_no_call_of_auth(settings, front: Front, author: Person):
    async with calling(settings, front, author) as caller:
        front.rest = fails(503)
        for _ in range(FAILURES * 2):
            assert_unavailable(await caller.me())
        assert front.count("rest") == FAILURES
        before = front.count("auth")
        assert_unavailable(await caller.enter())  # the session's user cannot be loaded
        assert front.count("auth") == before + 1


async def test_a_health_check_sees_past_an_open_breaker(
    settings, front: Front, author: Person, monkeypatch
):
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 60.0)

    async def health() -> str:
        return str((await caller.client.get("/alive/supabase")).json()["data"])

    async def is_up() -> bool:
        return await health() == "up"

    async with calling(settings, front, author) as caller:
        assert await health() == "up"
        front.auth = refuses
        for _ in range(FAILURES):
            assert_unavailable(await caller.enter())
        await until(lambda: is_down(health))
        front.auth = works
        before = front.count("auth")
        await until(is_up)
        refused = await caller.enter()  # only a call of this endpoint closes its breaker
        assert refused.status_code == 503
        asked = [seen.target for seen in front.seen if seen.part == "auth"][before:]
        assert set(asked) == {"/auth/v1/health"}


async def is_down(health: Callable[[], Awaitable[str]]) -> bool:
    return await health() == "down"
