"""H3: clients that hold their connections and send next to nothing, at the real proxy."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import httpx
import pytest

from devstack.testing import free_port
from kit.process import APPLICATION, api, environment
from kit.process import until as answers
from kit.proxy import HAPROXY, WHY_NOT
from kit.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not HAPROXY, reason=WHY_NOT),
]

SLOW = 200
ADDRESSES = 10  # of this machine: one address may hold 200 connections at the proxy
EVERY_SECONDS = 2.0
HEAD = b"GET /api/v1/posts HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n"
)


@dataclass
class Slow:
    """Half of the clients never end a head, half of them never end a body; each begins again."""

    proxy: Any
    open: int = 0
    most: int = 0
    ends: list[bytes] = field(default_factory=list)

    async def client(self, number):
        source, begin = f"127.0.0.{2 + number % ADDRESSES}", HEAD if number % 2 else BODY
        while True:
            reader, writer = await self.proxy.connect(source)
            self.open += 1
            self.most = max(self.most, self.open)
            end = asyncio.create_task(reader.read(64))
            try:
                writer.write(begin)
                while not end.done():
                    writer.write(b"a")
                    await asyncio.wait([end], timeout=EVERY_SECONDS)
                self.ends.append(end.result()[9:12])
            except OSError:
                self.ends.append(b"")
            finally:
                self.open -= 1
                end.cancel()
                writer.close()
                with contextlib.suppress(OSError):  # TLS has not ended in order
                    await writer.wait_closed()


async def normal(client, *, seconds):
    """Call as a client does that is not slow; return statuses and durations."""
    statuses: set[int] = set()
    durations: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds or len(durations) < 100:
        at = time.monotonic()
        statuses.add((await client.get("/api/v1/posts")).status_code)
        durations.append(time.monotonic() - at)
        await asyncio.sleep(0.02)
    return statuses, quantiles(durations, n=100)[-1]


async def p99_beside_slow_clients(stack, proxy, seconds):
    """Return the normal P99 without and with slow clients, and how those have ended."""
    port = free_port()
    env = environment(stack, APPLICATION, TRUSTED_PROXIES="127.0.0.1/32", LOG_LEVEL="WARNING")
    async with api(env, port, APPLICATION), httpx.AsyncClient() as direct:
        await answers(direct, f"http://127.0.0.1:{port}/api/v1/health/readiness", 200)
        async with proxy.before(port) as client:
            await normal(client, seconds=0)  # warm
            statuses, alone = await normal(client, seconds=min(seconds, 5))
            assert statuses == {200}
            slow = Slow(proxy)
            tasks = [asyncio.create_task(slow.client(number)) for number in range(SLOW)]
            try:
                await until(lambda: slow.most == SLOW, seconds=60)
                statuses, beside = await normal(client, seconds=seconds)
                await until(lambda: slow.ends)
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert statuses == {200}
    assert {type(one) for one in ended} == {asyncio.CancelledError}
    print(  # noqa: T201 - figures for docs/OPERATIONS.md: pytest -s
        f"\nP99 {1000 * alone:.0f} ms without and {1000 * beside:.0f} ms with {SLOW} slow clients "
        f"for {seconds} s, of which {len(slow.ends)} were cut off: {set(slow.ends)}"
    )
    return alone, beside, slow


async def test_h3_normal_clients_are_served_beside_200_slow_ones(stack, proxy):
    alone, beside, slow = await p99_beside_slow_clients(stack, proxy, seconds=12)
    # A busy machine is slow for both.
    assert beside < max(0.5, 10 * alone)
    assert set(slow.ends) == {b"408"}  # the heads, after 10 s


@pytest.mark.nightly
async def test_h3_p99_is_below_500_ms_beside_200_slow_clients_for_a_minute(stack, proxy):
    _, beside, slow = await p99_beside_slow_clients(stack, proxy, seconds=75)
    assert beside < 0.5
    assert set(slow.ends) == {b"408"}
    assert len(slow.ends) > SLOW  # heads and bodies
