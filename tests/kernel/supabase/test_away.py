"""A5: while Auth is away, all that does not need it works, and what does is refused at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from statistics import median

import httpx
import pytest

from kernel.app import create_app
from kernel.settings import Settings
from kernel.supabase import breaker
from kernel.supabase.breaker import FAILURES, OPEN_SECONDS
from kit.application import running
from kit.front import Behaviour, Front, dies, fails, refuses, silent, slow, works
from kit.people import PASSWORD, Person, new_email
from kit.waiting import until

ANSWER_SECONDS = 3.5  # the deadline of 3 s, on a busy machine
REFUSAL_SECONDS = 0.02
BACK_SECONDS = 5.0
AWAY: dict[str, Behaviour] = {
    "refused": refuses,
    "silent": silent,
    "500": fails(500),
    "502": fails(502),
    "slow": slow,
    "dies in the middle": dies,
}


class Caller:
    """Somebody who logs in, signs up, renews a session and, with a token, reads."""

    def __init__(self, client: httpx.AsyncClient, person: Person) -> None:
        self.client = client
        self._known = {"email": person.email, "password": person.password}
        self._renewal = {"refresh_token": person.refresh_token}

    async def login(self) -> httpx.Response:
        return await self.client.post("/auth/login", json=self._known)

    async def signup(self) -> httpx.Response:
        new = {"email": new_email(), "password": PASSWORD}
        return await self.client.post("/auth/signup", json=new)

    async def refresh(self) -> httpx.Response:
        return await self.client.post("/auth/refresh", json=self._renewal)

    async def me(self) -> httpx.Response:
        return await self.client.get("/users/me")


@asynccontextmanager
async def calling(settings: Settings, front: Front, person: Person) -> AsyncIterator[Caller]:
    app = create_app(front.settings(settings))
    async with running(app) as client_for, client_for(person.token) as client:
        yield Caller(client, person)


async def timed(call: Callable[[], Awaitable[httpx.Response]]) -> tuple[float, httpx.Response]:
    started = time.perf_counter()
    answer = await call()
    return time.perf_counter() - started, answer


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert 1 <= int(answer.headers["retry-after"]) <= 3


@asynccontextmanager
async def again_and_again(
    call: Callable[[], Awaitable[httpx.Response]],
) -> AsyncIterator[list[httpx.Response]]:
    """Somebody calls all the time; the answers so far are in the list."""
    answers: list[httpx.Response] = []
    over = False

    async def repeat() -> None:
        while not over:
            answers.append(await call())
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(repeat())
        try:
            yield answers
        finally:
            over = True


async def refused_at_once(*calls: Callable[[], Awaitable[httpx.Response]]) -> bool:
    """Call each a few times, and say whether half of the refusals were quick: one may be a probe.

    Another process may take the machine away meanwhile: then a next try shows it.
    """
    refusals = [await timed(call) for _ in range(10) for call in calls]
    for _, answer in refusals:
        assert_unavailable(answer)
    return median(seconds for seconds, _ in refusals) <= REFUSAL_SECONDS


async def succeeds(call: Callable[[], Awaitable[httpx.Response]]) -> bool:
    return (await call()).is_success


@pytest.mark.parametrize("behaviour", AWAY.values(), ids=AWAY)
async def test_a5_auth_away(settings, front: Front, author: Person, behaviour):
    async with calling(settings, front, author) as caller, again_and_again(caller.me) as read:
        assert (await caller.login()).status_code == 200
        front.auth = behaviour
        calls = caller.login, caller.signup, caller.refresh
        first = await asyncio.gather(*(timed(call) for _ in range(FAILURES) for call in calls))
        for seconds, answer in first:
            assert_unavailable(answer)
            assert seconds <= ANSWER_SECONDS

        before, began = front.count("auth"), time.monotonic()
        await until(lambda: refused_at_once(*calls))
        probes = 2 * (1 + (time.monotonic() - began) / OPEN_SECONDS)  # two endpoints
        assert front.count("auth") <= before + probes

        before = front.count("auth")
        async with again_and_again(caller.signup):
            await until(lambda: front.count("auth") > before)
            front.auth = works  # at the worst moment: a probe has just begun, and will fail
            started = time.perf_counter()
            await until(lambda: succeeds(caller.login))
            assert time.perf_counter() - started <= BACK_SECONDS
        assert (await caller.refresh()).status_code == 200
    assert {answer.status_code for answer in read} == {200}
    assert len(read) > 10


async def test_a5_nobody_listens_at_all(settings, front: Front, author: Person):
    async with calling(settings, front, author) as caller:
        assert (await caller.me()).status_code == 200
        await front.close()
        for call in (caller.me, caller.login):
            for _ in range(FAILURES):
                assert_unavailable(await call())
        await until(lambda: refused_at_once(caller.me, caller.login))
        await front.listen()
        started = time.perf_counter()
        for call in (caller.me, caller.login):
            await until(partial(succeeds, call))
        assert time.perf_counter() - started <= BACK_SECONDS


async def test_a5_postgrest_away_stops_no_login_at_auth(settings, front: Front, author: Person):
    async with calling(settings, front, author) as caller:
        front.rest = fails(503)
        for _ in range(FAILURES * 2):
            assert_unavailable(await caller.me())
        assert front.count("rest") == FAILURES
        before = front.count("auth")
        assert_unavailable(await caller.login())  # the user of the session is not to be had
        assert front.count("auth") == before + 1


async def test_health_sees_past_an_open_breaker(
    settings, front: Front, author: Person, monkeypatch
):
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 60.0)

    async def health() -> str:
        return str((await caller.client.get("/health")).json()["data"]["supabase"])

    async def is_up() -> bool:
        return await health() == "up"

    async with calling(settings, front, author) as caller:
        assert await health() == "up"
        front.auth = refuses
        for _ in range(FAILURES):
            assert_unavailable(await caller.login())
        await until(lambda: is_down(health))
        front.auth = works
        before = front.count("auth")
        await until(is_up)
        refused = await caller.login()  # only what was asked for closes a breaker
        assert refused.status_code == 503
        asked = [seen.target for seen in front.seen if seen.part == "auth"][before:]
        assert set(asked) == {"/auth/v1/health"}


async def is_down(health: Callable[[], Awaitable[str]]) -> bool:
    return await health() == "down"
