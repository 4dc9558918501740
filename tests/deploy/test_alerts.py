"""Alerts on running processes: they fire while something is wrong, and end when it is over.

About nine minutes, because the alerts themselves wait for minutes. `PICTURE=docs/monitoring.svg`
also writes the picture of docs/MONITORING.md.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from devstack.testing import free_port
from kit.prometheus import FOLDER, PROMETHEUS, WHY_NOT, scraping
from kit.waiting import until

pytestmark = [pytest.mark.nightly, pytest.mark.skipif(not PROMETHEUS, reason=WHY_NOT)]

SETTINGS = {"LOG_LEVEL": "WARNING", "QUOTA_POSTS_PER_DAY": "1000000"}
RATE = 20  # requests a second
NORMAL_SECONDS = 90


async def use(client, tokens):
    """Read, and now and then write, until cancelled."""
    for number in count():
        await asyncio.sleep(1 / RATE)
        headers = {"Authorization": f"Bearer {tokens[number % len(tokens)]}"}
        with contextlib.suppress(httpx.TransportError):
            if number % 40 == 0:
                body = {"title": "Under load", "content": "", "published": True}
                await client.post("/posts", json=body, headers=headers)
            elif number % 10 == 0:
                await client.get(f"/posts/{uuid4()}")  # asks the database each time
            elif number % 10 == 1:
                await client.get("/users/me", headers=headers)
            else:
                await client.get("/posts", params={"page": number % 3 + 1})


@contextlib.asynccontextmanager
async def used(client, tokens):
    task = asyncio.create_task(use(client, tokens))
    try:
        yield
        assert not task.done()  # otherwise it failed
    finally:
        task.cancel()


async def fires(prometheus, *names, until_seconds=420):
    async def found():
        await asyncio.sleep(1)
        return await prometheus.firing() >= set(names)

    await until(found, seconds=until_seconds)


async def ends(prometheus, *names):
    async def over():
        await asyncio.sleep(1)
        return not await prometheus.firing() & set(names)

    await until(over, seconds=420)


async def publish(system, author, number):
    """Publish so many posts with one statement: one event, and a job for each post."""
    await system.fetch(
        "insert into public.posts (title, content, published, author_id) "
        "select 'One of many', '', true, $1 from generate_series(1, $2)",
        author,
        number,
    )


async def test_a_long_queue_and_an_open_breaker_are_alerts_until_they_are_over(
    whole_system, tmp_path
):
    ports = {name: free_port() for name in ("api", "worker", "relay", "beat")}

    async def start(name):
        return await whole_system.start(name, METRICS_PORT=str(ports[name]), **SETTINGS)

    authors = [await whole_system.author() for _ in range(8)]
    worker, _, _ = [await start(name) for name in ("worker", "relay", "beat")]
    began = time.time()
    async with (
        whole_system.api(METRICS_PORT=str(ports["api"]), **SETTINGS) as (_, client),
        scraping(tmp_path / "prometheus", ports, seconds=5) as prometheus,
        used(client, [token for _, token in authors]),
    ):
        await asyncio.sleep(NORMAL_SECONDS)  # the picture shows what normal is
        assert await prometheus.firing() == set()

        worker.signal(signal.SIGTERM)
        await worker.ended(60)
        await publish(whole_system, authors[0][0], 1100)
        await fires(prometheus, "WorkerSilent")
        async with whole_system.away():
            await fires(prometheus, "BreakerOpen")
        await fires(prometheus, "QueueLong")
        await ends(prometheus, "BreakerOpen")

        await start("worker")
        await ends(prometheus, "QueueLong", "WorkerSilent")
        if file := os.environ.get("PICTURE"):
            minutes = str((time.time() - began) / 60)
            command = (sys.executable, FOLDER / "picture.py", prometheus.url, file, minutes)
            await asyncio.to_thread(subprocess.run, command, check=True, cwd=Path.cwd())
