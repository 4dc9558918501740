"""A5: the responses of calls that need Supabase Auth, while Auth is unavailable and afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

import httpx

from kernel.supabase.breaker import FAILURES, OPEN_SECONDS
from kit.front import Behaviour, Front, dies, fails, refuses, silent, slow, works
from kit.waiting import until

Call = Callable[[], Awaitable[httpx.Response]]

ANSWER_SECONDS: Final = 3.5  # the deadline of 3 s, plus a margin for a busy machine
REFUSAL_SECONDS: Final = 0.02
BACK_SECONDS: Final = 5.0
AWAY: Final[dict[str, Behaviour]] = {
    "refused": refuses,
    "silent": silent,
    "500": fails(500),
    "502": fails(502),
    "slow": slow,
    "dies in the middle": dies,
}


async def timed(call: Call) -> tuple[float, httpx.Response]:
    """Return the duration of a call, and its response."""
    started = time.perf_counter()
    answer = await call()
    return time.perf_counter() - started, answer


def assert_unavailable(answer: httpx.Response) -> None:
    """Assert that it is the 503 for Supabase, with a Retry-After header."""
    assert answer.status_code == 503
    if answer.json()["error"]["code"] == "OUTCOME_UNKNOWN":  # this write was already sent
        assert answer.request.url.path.endswith("/join")
        assert "retry-after" not in answer.headers
        return
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert 1 <= int(answer.headers["retry-after"]) <= 3


@asynccontextmanager
async def again_and_again(
    call: Call,
) -> AsyncIterator[list[httpx.Response]]:
    """Repeat a call in the background; the list holds the responses so far."""
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


async def refused_at_once(*calls: Call) -> bool:
    """Call each several times; return whether the median refusal was fast: one call may be a probe.

    Another process may occupy the machine meanwhile. Then the caller tries again.
    """
    refusals = [await timed(call) for _ in range(10) for call in calls]
    for _, answer in refusals:
        assert_unavailable(answer)
    return median(seconds for seconds, _ in refusals) <= REFUSAL_SECONDS


async def succeeds(call: Call) -> bool:
    """Return whether a call succeeds."""
    return (await call()).is_success


async def assert_refused_while_away(
    front: Front, behaviour: Behaviour, calls: Sequence[Call], *, endpoints: int
) -> None:
    """Assert A5 for calls that need Auth; the first call is one that has succeeded already.

    The calls are 503 before the deadline and soon fail fast. They work again 5 s after Auth does.
    `endpoints` is how many endpoints of Auth they use: each one may be probed.
    """
    assert (await calls[0]()).is_success
    front.auth = behaviour
    first = await asyncio.gather(*(timed(call) for _ in range(FAILURES) for call in calls))
    for seconds, answer in first:
        assert_unavailable(answer)
        assert seconds <= ANSWER_SECONDS

    before, began = front.count("auth"), time.monotonic()
    await until(lambda: refused_at_once(*calls))
    probes = endpoints * (1 + (time.monotonic() - began) / OPEN_SECONDS)
    assert front.count("auth") <= before + probes

    before = front.count("auth")
    async with again_and_again(calls[-1]):
        await until(lambda: front.count("auth") > before)
        front.auth = works  # the worst moment: a probe has just begun, and it will fail
        started = time.perf_counter()
        await until(lambda: succeeds(calls[0]))
        assert time.perf_counter() - started <= BACK_SECONDS
