"""Two processes whose Redis returns: empty, or with all its data (K6)."""

import contextlib
import time

import pytest

from kit.readers import readers
from kit.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

KEYS = 20
BACK_SECONDS = 5


@contextlib.asynccontextmanager
async def killed(system):
    system.cache.kill()
    yield
    await system.cache.start()


@contextlib.asynccontextmanager
async def frozen(system):
    with system.cache.frozen():
        yield


async def loads(system):
    rows = await system.fetch("select count(*) from public.effects where kind = 'load'")
    return rows[0]["count"]


@pytest.mark.parametrize(("fault", "most"), [(killed, KEYS), (frozen, 0)])
async def test_k6_hits_resume_when_redis_is_back_and_each_key_is_loaded_once(
    system, fault, most, summary
):
    author, _ = await system.author()
    paths = [f"/long-things/{await system.publish(author)}" for _ in range(KEYS)]
    async with (
        system.api() as (_, one),
        system.api() as (_, other),
        readers(2, [one.base_url.port, other.base_url.port]) as both,
    ):

        async def found():
            """Read every key in every process; return the values of X-Cache."""
            answers = [await reader.get(path) for path in paths for reader in both]
            assert {answer.status for answer in answers} == {200}
            return {answer.cache for answer in answers}

        await found()
        assert await found() == {"HIT"}
        async with fault(system):
            assert await found() == {"BYPASS"}
        back = time.monotonic()

        # A process that has not noticed yet that Redis is back does not query it.
        async def is_seen():
            probes = [await reader.get("/motto") for reader in both]
            return all(probe.cache != "BYPASS" for probe in probes)

        await until(is_seen, seconds=BACK_SECONDS)
        before = await loads(system)
        await found()
        assert await found() == {"HIT"}
        took = time.monotonic() - back
        assert took <= BACK_SECONDS
        assert await loads(system) - before <= most
    summary(f"K6 {fault.__name__}: hits again {took:.1f} s after Redis was back")
