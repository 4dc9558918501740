"""/metrics of `./app api` with several workers: real processes, one of which is killed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from kit.metrics import Scrape
from kit.process import api, environment, until
from kit.waiting import until as condition

COUNTED = {"slice": "alive", "method": "GET", "status": 200}


class Workers:
    """Two workers and the folder with their counters; each call opens a new connection."""

    def __init__(self, folder, port):
        self._folder, self._base = folder, f"http://127.0.0.1:{port}"

    @property
    def pids(self) -> set[int]:
        """The workers that have counted something so far, including dead ones."""
        return {int(path.stem.removeprefix("counter_")) for path in self._files()}

    def _files(self):
        return self._folder.glob("api-metrics-*/counter_*.db")

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
        async with httpx.AsyncClient(base_url=self._base) as client:
            answer = await client.get("/metrics")
        assert answer.status_code == 200
        return Scrape(answer.text).value("http_requests_total", **COUNTED) or 0

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
    async with api(env, unused_tcp_port) as process:
        workers = Workers(tmp_path, unused_tcp_port)
        async with httpx.AsyncClient() as client:
            await until(client, f"http://127.0.0.1:{unused_tcp_port}/metrics", 200)
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


async def test_metrics_are_the_sum_of_all_workers_whichever_answers(workers):
    calls = await workers.call_until_counted_by(2)
    await workers.counted(calls)
    for pid in workers.pids:
        with stopped(pid):
            assert await workers.total() == calls


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
    (successor,) = workers.pids - before
    for pid in (survivor, successor):
        with stopped(pid):
            assert await workers.total() == calls
