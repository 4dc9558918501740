"""Reads while Redis is away, or does not do what it is asked, and when it is back (K5, K6)."""

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial

import httpx
import pytest

from kernel.app import create_app
from kit.application import running
from kit.front import works
from kit.redis_faults import AWAY, UNWILLING
from kit.timing import interleaved

pytestmark = pytest.mark.slow

ADDRESS = "203.0.113.9"
AT_FIRST_MS, LATER_MS = 150, 5
ROUNDS = 3
PLACES, PAGES = 10, 40
UNLIMITED = {"rate_limit_default": "100000/minute", "rate_limit_fallback": "100000/minute"}


class Watched:
    """Behaves as Supabase does, and sees how many calls are under way at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, seen) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await works(seen)
        finally:
            self.now -= 1


@pytest.fixture
def app_of(settings, front):
    """Runs an application: one that asks the database for every read, or one with this Redis."""

    @contextlib.asynccontextmanager
    async def run(token, **changes):
        changes = {"supabase_concurrency": PLACES, **UNLIMITED, **changes}
        app = create_app(front.settings(settings, **changes))
        async with (
            running(app) as client_for,
            client_for(address=ADDRESS) as anyone,
            client_for(token, address=ADDRESS) as caller,
        ):
            yield anyone, caller

    return run


@pytest.fixture
def calls_of(author, post):
    """All kinds of reads, by anyone and by a caller."""

    def calls(clients: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> Mapping[str, partial]:
        anyone, caller = clients
        return {
            "post": partial(anyone.get, f"/posts/{post.id}"),
            "posts": partial(anyone.get, "/posts"),
            "settings": partial(anyone.get, "/settings"),
            "post, with a token": partial(caller.get, f"/posts/{post.id}"),
            "me": partial(caller.get, "/users/me"),
            "user": partial(caller.get, f"/users/{author.id}"),
        }

    return calls


async def slowest_ms(calls):
    """Make each call once, one after the other; return the answers and the longest time."""
    clock = asyncio.get_running_loop().time
    answers, slowest = {}, 0.0
    for name, call in calls.items():
        begun = clock()
        answers[name] = await call()
        slowest = max(slowest, (clock() - begun) * 1000)
    return answers, slowest


async def burst(clients):
    pages = (clients[0].get("/posts", params={"page": page}) for page in range(1, PAGES + 1))
    return {answer.status_code for answer in await asyncio.gather(*pages)}


@pytest.mark.parametrize("begun", ["while it runs", "before it starts"])
@pytest.mark.parametrize("fault", [*AWAY, *UNWILLING], ids=lambda fault: fault.__name__)
async def test_k5_without_redis_every_read_is_answered_by_the_database(
    app_of, calls_of, author, valkey, front, fault, begun, summary
):
    front.rest = watched = Watched()
    with_redis = {"cache_enabled": True, "redis_port": valkey.port}
    async with (
        app_of(author.token) as by_database,
        app_of(author.token, **with_redis) as warm,
        contextlib.AsyncExitStack() as stack,
    ):
        usual = calls_of(by_database)
        expected, cold_ms = await slowest_ms(usual)
        _, usual_ms = await slowest_ms(usual)
        await slowest_ms(calls_of(warm))
        hits, _ = await slowest_ms(calls_of(warm))
        assert {answer.headers["x-cache"] for answer in hits.values()} == {"HIT"}

        await stack.enter_async_context(fault(valkey))
        if begun == "while it runs":
            clients = warm
        else:
            usual_ms = cold_ms
            clients = await stack.enter_async_context(app_of(author.token, **with_redis))
        calls = calls_of(clients)
        found, at_first_ms = await slowest_ms(calls)
        for name, answer in found.items():
            assert answer.status_code == 200
            assert answer.json() == expected[name].json()
            assert fault in UNWILLING or answer.headers["x-cache"] == "BYPASS"
        assert at_first_ms - usual_ms <= AT_FIRST_MS

        shown = []
        for _ in range(ROUNDS):
            timings = await interleaved(
                {"without": calls["post"], "usual": usual["post"]}, rounds=50
            )
            assert {answer.status_code for answer in timings.answers} == {200}
            extra = timings.medians["without"] - timings.medians["usual"]
            shown.append(f"{extra:+.1f} ms")
            if extra <= LATER_MS:
                break
        else:
            pytest.fail(f"a read without Redis costs {shown} more")

        watched.most = 0
        assert await burst(clients) == {200}
        assert watched.most <= PLACES
    summary(
        f"K5 {fault.__name__} {begun}: at first {at_first_ms - usual_ms:+.0f} ms, later {shown[-1]}"
    )
