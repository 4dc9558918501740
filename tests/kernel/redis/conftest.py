import asyncio
import contextlib
from collections.abc import Callable

import pytest
import uvloop

from kernel.config.settings import Settings
from kernel.redis import Pipeline, connect_redis
from kernel.redis.connecting import Endpoint
from kernel.redis.multiplexed import Multiplexed
from kernel.redis.over_redis_py import OverRedisPy
from kernel.redis.pipeline import DEADLINE_SECONDS
from kit.small import changed

KINDS: dict[str, Callable[[Settings, float], Pipeline]] = {
    "multiplexed": lambda settings, seconds: Multiplexed(Endpoint.of(settings), seconds=seconds),
    "over redis-py": lambda settings, seconds: OverRedisPy(
        connect_redis(settings, timeout=None, protocol=2), seconds=seconds
    ),
}


@pytest.fixture(params=KINDS)
def talking_to(request, settings):
    """Opens a pipeline of each kind: `async with talking_to(redis_port=…) as pipeline`.

    Tests that do not test the deadline pass `seconds=PATIENT`: test machines have few cores.
    """

    @contextlib.asynccontextmanager
    async def opened(*, seconds=DEADLINE_SECONDS, **changes):
        pipeline = KINDS[request.param](changed(settings, **changes), seconds)
        try:
            yield pipeline
        finally:
            await pipeline.aclose()

    return opened


@pytest.fixture
def multiplexed_to(settings):
    """Opens our own connection: `async with multiplexed_to(redis_port=…) as pipeline`."""

    @contextlib.asynccontextmanager
    async def opened(*, seconds=DEADLINE_SECONDS, **changes):
        pipeline = Multiplexed(Endpoint.of(changed(settings, **changes)), seconds=seconds)
        try:
            yield pipeline
        finally:
            await pipeline.aclose()

    return opened


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def on_a_loop(request):
    """Runs a coroutine on a new event loop, of each kind: `on_a_loop(main())`."""

    def run(main):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main)

    return run


@pytest.fixture
def logged(caplog):
    """The logged losses and returns of Redis, with their reasons."""

    def lines():
        return [
            (line.message, vars(line).get("reason"))
            for line in caplog.records
            if line.name == "kernel.redis.breaker"
        ]

    return lines
