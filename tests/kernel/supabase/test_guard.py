"""Which outcomes count as failures, and of an endpoint or of a whole part."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import pytest

from kernel.supabase import bulkhead
from kernel.supabase.breaker import FAILURES, OPEN_SECONDS, CircuitOpen
from kernel.supabase.bulkhead import BulkheadFull
from kernel.supabase.guard import Guard
from kit.waiting import until

Send = Callable[[], Awaitable[httpx.Response]]


def answers(status: int, **body: object) -> Send:
    async def send() -> httpx.Response:
        return httpx.Response(status, json=body)

    return send


def raises(error: BaseException) -> Send:
    async def send() -> httpx.Response:
        raise error

    return send


WORKS = answers(200)


@pytest.fixture
def guard() -> Guard:
    return Guard("rest", places=10)


async def fail(guard: Guard, path: str, send: Send, times: int = FAILURES) -> None:
    for _ in range(times):
        await asyncio.gather(guard.call(path, send), return_exceptions=True)


async def refused(guard: Guard, path: str) -> bool:
    try:
        await guard.call(path, WORKS)
    except CircuitOpen:
        return True
    return False


AWAY = {
    "refused": raises(httpx.ConnectError("refused")),
    "no connection in time": raises(aiohttp.ConnectionTimeoutError("connect")),
    "broken off": raises(aiohttp.ClientPayloadError("broken off")),
    "unreadable": raises(httpx.DecodingError("unreadable")),
    "502": answers(502),
    "503": answers(503, code="PGRST002", message="Could not query the database"),
    "504": answers(504),
    "project paused": answers(540),
    "database going down": answers(500, code="57P01", message="terminating connection"),
}


@pytest.mark.parametrize("send", AWAY.values(), ids=AWAY)
async def test_a_fault_that_no_request_causes_stops_all_calls_of_the_part(guard, send):
    await fail(guard, "posts", send)
    assert await refused(guard, "posts")
    assert await refused(guard, "rpc/me")


SLOW = {
    "silent": raises(httpx.ReadTimeout("silent")),
    "silent, by aiohttp": raises(aiohttp.SocketTimeoutError("silent")),
    "over its deadline": raises(TimeoutError()),
    "canceled": answers(500, code="57014", message="statement timeout"),
}


@pytest.mark.parametrize("send", SLOW.values(), ids=SLOW)
async def test_s5_a_slow_query_stops_its_own_endpoint_alone(guard, send, frozen_time):
    for _ in range(3):
        await fail(guard, "rpc/list_posts", send)
        assert await refused(guard, "rpc/list_posts")
        assert not await refused(guard, "posts")
        assert not await refused(guard, "rpc/me")
        frozen_time.tick(OPEN_SECONDS)


async def test_silence_of_two_endpoints_with_no_answer_between_stops_the_part(guard):
    await fail(guard, "posts", SLOW["silent"], times=1)
    await fail(guard, "rpc/me", SLOW["silent"], times=FAILURES)
    assert await refused(guard, "profiles")


async def test_one_probe_at_a_part_that_stays_silent_is_enough(guard, frozen_time):
    await fail(guard, "posts", AWAY["refused"])
    frozen_time.tick(OPEN_SECONDS)
    await fail(guard, "rpc/me", SLOW["silent"], times=1)
    assert await refused(guard, "posts")


ANSWERS = {
    "200": WORKS,
    "400": answers(400),
    "401": answers(401),
    "409": answers(409),
    "429": answers(429),
    "501": answers(501),
    "a query that fails": answers(500, code="XX000", message="a fault of one function"),
}


@pytest.mark.parametrize("send", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_no_failure_however_it_reads(guard, send):
    await fail(guard, "posts", send, times=FAILURES * 3)
    assert not await refused(guard, "posts")
    await fail(guard, "posts", AWAY["refused"], times=FAILURES - 1)
    await fail(guard, "rpc/me", send, times=1)  # this response ends the series of failures
    await fail(guard, "posts", AWAY["refused"], times=FAILURES - 1)
    assert not await refused(guard, "posts")


@pytest.mark.parametrize(
    "send",
    [answers(500), answers(500, code="unexpected_failure"), answers(500, code=500)],
)
async def test_a_poisonous_call_stops_only_its_own_endpoint(guard, send):
    await fail(guard, "signup", send)
    assert await refused(guard, "signup")
    assert not await refused(guard, "token")
    await fail(guard, "admin/users/1", send)
    assert await refused(guard, "admin/generate_link")
    await fail(guard, "rpc/one", send)
    assert await refused(guard, "rpc/one")
    assert not await refused(guard, "rpc/other")


async def test_an_error_of_our_own_is_no_failure_of_the_server(guard):
    for _ in range(FAILURES * 2):
        with pytest.raises(ValueError, match="ours"):
            await guard.call("posts", raises(ValueError("ours")))
    assert not await refused(guard, "posts")


async def test_a_client_that_leaves_is_no_failure_and_frees_the_probe(guard, frozen_time):
    await fail(guard, "posts", AWAY["refused"])
    frozen_time.tick(OPEN_SECONDS)
    assert guard._whole.state == "half-open"
    begun = asyncio.Event()

    async def hang() -> httpx.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    probe = asyncio.create_task(guard.call("posts", hang))
    await begun.wait()
    assert await refused(guard, "posts")
    probe.cancel()
    await asyncio.wait([probe])
    assert not await refused(guard, "posts")
    assert guard._whole.state == "closed"


async def test_a_call_that_waited_for_a_slot_is_refused_if_the_breaker_has_opened(monkeypatch):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 20.0)
    guard, silence, sent = Guard("rest", places=FAILURES), asyncio.Event(), 0

    async def time_out() -> httpx.Response:
        nonlocal sent
        sent += 1
        await silence.wait()
        raise TimeoutError

    calls = [asyncio.create_task(guard.call("posts", time_out)) for _ in range(FAILURES * 10)]
    await until(lambda: sent == FAILURES)
    silence.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sent == FAILURES
    assert sum(isinstance(outcome, CircuitOpen) for outcome in outcomes) == FAILURES * 9


async def test_an_endpoint_that_is_refused_does_not_use_up_the_probe_of_its_part(
    monkeypatch, frozen_time
):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 20.0)
    guard, over = Guard("rest", places=1), asyncio.Event()

    async def slow() -> httpx.Response:
        await over.wait()
        return httpx.Response(200)

    first = asyncio.create_task(guard.call("posts", slow))
    await until(guard._bulkhead._places.locked)
    waiting = asyncio.create_task(guard.call("rpc/me", WORKS))
    await until(lambda: guard._bulkhead._places._waiters)
    for opened, seconds in ((guard._whole, OPEN_SECONDS), (guard._endpoint("rpc/me"), 0)):
        for ticket in [opened.admit() for _ in range(FAILURES)]:
            opened.settle(ticket, answered=False)
        frozen_time.tick(seconds)
    over.set()
    await first
    with pytest.raises(CircuitOpen):
        await waiting
    states = [guard._whole.state]
    assert not await refused(guard, "posts")
    states.append(guard._whole.state)
    assert states == ["half-open", "closed"]


async def test_a_full_bulkhead_is_no_failure_of_the_server(monkeypatch):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 0.01)
    guard, over = Guard("rest", places=1), asyncio.Event()

    async def slow() -> httpx.Response:
        await over.wait()
        return httpx.Response(200)

    call = asyncio.create_task(guard.call("posts", slow))
    await until(guard._bulkhead._places.locked)
    for _ in range(FAILURES * 2):
        with pytest.raises(BulkheadFull):
            await guard.call("posts", WORKS)
    over.set()
    await call
    assert not await refused(guard, "posts")


async def test_o20_an_endpoint_that_waits_for_others_stops_itself_alone(guard):
    for path in ("signup", "admin/generate_link"):
        for _ in range(FAILURES):
            await asyncio.gather(
                guard.call(path, SLOW["silent"], slow=True), return_exceptions=True
            )
    assert await refused(guard, "signup")
    assert not await refused(guard, "token:password")


async def test_o20_a_slow_endpoint_leaves_places_to_the_others(monkeypatch):
    monkeypatch.setattr(bulkhead, "WAIT_SECONDS", 0.05)
    guard, over = Guard("auth", places=4, each=2), asyncio.Event()

    async def hang() -> httpx.Response:
        await over.wait()
        return httpx.Response(200)

    held = [asyncio.create_task(guard.call("signup", hang)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BulkheadFull):
        await guard.call("signup", WORKS)
    assert (await guard.call("token:password", WORKS)).status_code == 200
    over.set()
    await asyncio.gather(*held)
