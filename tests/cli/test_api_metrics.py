"""The metrics of `./app api` with several workers: real processes, one of which is killed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from devstack.testing import free_port
from kernel.boot.discovery import version
from kit.metrics import Scrape, scraped
from kit.process import api, environment, until
from kit.waiting import until as condition

COUNTED = {"slice": "alive", "method": "GET", "status": 200}


class Workers:
    """Two workers and the folder with their counters; each call opens a new connection."""

    def __init__(self, folder, port, metrics_port):
        self._folder, self._base = folder, f"http://127.0.0.1:{port}"
        self._metrics_port = metrics_port

    @property
    def pids(self) -> set[int]:
        """The workers that have counted something so far, including dead ones."""
        return {int(path.stem.removeprefix("counter_")) for path in self._files()}

    def _files(self):
        return self._folder.glob("app-metrics-*/counter_*.db")

    async def call(self, times: int) -> None:
        async def one() -> None:
            async with httpx.AsyncClient(base_url=self._base) as client:
                (await client.get("/api/v1/alive")).raise_for_status()

        await asyncio.gather(*(one() for _ in range(times)))

    async def call_until_counted_by(self, workers: int) -> int:
        """Call until this many workers have taken part; return the number of calls."""
        calls = 0

        async def enough() -> bool:
            nonlocal calls
            await self.call(10)
            calls += 10
            return len(self.pids) >= workers

        await condition(enough)
        return calls

    async def total(self) -> float:
        return (await self.scrape()).value("http_requests_total", **COUNTED) or 0

    async def scrape(self) -> Scrape:
        return await scraped(self._metrics_port)

    async def counted(self, calls: int) -> None:
        """Wait until the calls are counted: this happens after their responses are sent."""

        async def all_are() -> bool:
            return await self.total() >= calls

        await condition(all_are)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a worker, so that another one responds."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
async def workers(stack, unused_tcp_port, tmp_path):
    env = environment(stack, API_WORKERS="2", LOG_LEVEL="WARNING", TMPDIR=str(tmp_path))
    env["METRICS_PORT"] = str(metrics := free_port())
    async with api(env, unused_tcp_port) as process:
        workers = Workers(tmp_path, unused_tcp_port, metrics)
        async with httpx.AsyncClient() as client:
            await until(client, f"http://127.0.0.1:{unused_tcp_port}/", 200)
        yield workers
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)
    assert list(tmp_path.iterdir()) == []  # no file is left


async def gone(pid: int) -> None:
    """Wait until a killed worker is gone: until then it might accept a connection."""

    def buried() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await condition(buried)


async def test_metrics_are_the_sum_of_all_workers_also_while_one_hangs(workers):
    calls = await workers.call_until_counted_by(2)
    await workers.counted(calls)
    for pid in workers.pids:
        with stopped(pid):
            assert await workers.total() == calls
    found = await workers.scrape()
    assert found.labels("process") == {"main", "1", "2"}
    assert found.value("build_info", role="api", version=version()) == 1
    assert found.value("breaker_open", breaker="redis") == 0


async def test_no_counter_falls_when_a_worker_is_killed(workers):
    calls = await workers.call_until_counted_by(2)
    before = workers.pids
    await workers.counted(calls)
    killed, survivor = before
    os.kill(killed, signal.SIGKILL)
    await gone(killed)
    assert await workers.total() == calls
    calls += await workers.call_until_counted_by(3)
    await workers.counted(calls)
    assert survivor in workers.pids
    found = await workers.scrape()
    assert found.labels("process") == {"main", "1", "2"}  # the successor has the place of the dead
