"""A release under load: every process is replaced, one after the other, behind the real proxy."""

import asyncio
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles
from uuid import UUID

import httpx
import pytest

from devstack.testing import Mailbox, free_port, start_smtp
from kit.process import until as answers
from kit.proxy import HAPROXY, WHY_NOT
from kit.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not HAPROXY, reason=WHY_NOT),
]

RATE = 200  # requests a second, of which WRITES publish a post: each is a mail
WRITES = 10
AT_ONCE = 40
MOST_MAILS = 8  # to one address, which gets no more than 10 an hour of this kind
SETTINGS = {
    "API_DRAIN_SECONDS": "3",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    "QUOTA_POSTS_PER_DAY": "1000000",
    "LOG_LEVEL": "WARNING",
}


@dataclass
class Load:
    """Requests at a steady rate; on a machine that is too busy for it, as many as it can."""

    client: httpx.AsyncClient
    tokens: list[str]
    statuses: Counter[int | str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    posts: set[UUID] = field(default_factory=set)

    @property
    def answered(self):
        return len(self.seconds)

    async def run(self, stop):
        places, self.began = asyncio.Semaphore(AT_ONCE), time.monotonic()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not stop.is_set():
                await asyncio.sleep(self.began + number / RATE - time.monotonic())
                await places.acquire()
                task = group.create_task(self._one(number))
                task.add_done_callback(lambda _: places.release())
                number += 1
        self.lasted = time.monotonic() - self.began

    async def _one(self, number):
        began = time.monotonic()
        try:
            due, turn = number % (RATE // WRITES) == 0, number // (RATE // WRITES)
            writes = due and turn < MOST_MAILS * len(self.tokens)
            answer = await (self._write(turn) if writes else self._read(number))
            self.statuses[answer.status_code] += 1
        except httpx.HTTPError as error:
            self.statuses[repr(error)] += 1
        self.seconds.append(time.monotonic() - began)

    async def _read(self, number):
        return await self.client.get("/api/v1/posts", params={"page": number % 3 + 1})

    async def _write(self, turn):
        token = self.tokens[turn % len(self.tokens)]
        answer = await self.client.post(
            "/api/v1/posts",
            json={"title": "Under load", "content": "", "published": True},
            headers={"Authorization": f"Bearer {token}"},
        )
        if answer.status_code == 201:
            self.posts.add(UUID(answer.json()["data"]["id"]))
        return answer


async def release(system, proxy, between, authors):
    """Replace API, API, worker and relay under load, `between` answers apart; return what was seen.

    Returns the load, how long each process took to end, and how many mails each post led to.
    """
    mails, ends = Mailbox(capacity=1_000_000), {}
    smtp = await start_smtp(0, mails.add)
    system.smtp_port = smtp.sockets[0].getsockname()[1]
    tokens = [(await system.author())[1] for _ in range(authors)]
    ports, running = [free_port(), free_port()], {}

    async def start(name):
        command = ("api", "--port", str(name)) if name in ports else (name,)
        running[name] = await system.start(*command, ready=name not in ports, **SETTINGS)
        if name in ports:
            async with httpx.AsyncClient() as client:
                await answers(client, f"http://127.0.0.1:{name}/api/v1/health/readiness", 200)

    async def replace(name):
        asked = time.monotonic()
        running[name].signal(signal.SIGTERM)
        code = await running[name].ended(60)
        ends[name] = (code, time.monotonic() - asked)
        await start(name)

    for name in (*ports, "worker", "relay"):
        await start(name)
    async with proxy.before(*ports) as client:
        load, stop = Load(client, tokens), asyncio.Event()
        task = asyncio.create_task(load.run(stop))
        try:
            for name in (*ports, "worker", "relay"):
                await passes(load, between)
                await replace(name)
            await passes(load, between)
        finally:
            stop.set()
            await task
    async with smtp:
        await until(lambda: mailed(mails).keys() >= load.posts, seconds=120)
        await until(lambda: system.queued() == 0)
    return load, ends, mailed(mails)


async def passes(load, number):
    before = load.answered
    await until(lambda: load.answered > before + number, seconds=300)


def mailed(mails):
    """Count the mails about each post."""
    texts = [mail.text.partition("/posts/")[2][:36] for mail in mails.newest_first()]
    return Counter(UUID(text) for text in texts if text)


def judge(load, ends, mails):
    print(  # noqa: T201 - figures for docs/OPERATIONS.md: pytest -s
        f"\n{load.answered} requests, {load.answered / load.lasted:.0f}/s, {load.statuses}, "
        f"P99 {1000 * quantiles(load.seconds, n=100)[-1]:.0f} ms; {len(load.posts)} posts; "
        f"SIGTERM to exit {[f'{name}: {seconds:.1f} s' for name, (_, seconds) in ends.items()]}"
    )
    assert load.statuses.keys() == {200, 201}
    assert mails == Counter(load.posts)  # the job of each post, once
    assert len(load.posts) > 10
    assert all(seconds <= 30 for _, seconds in ends.values())
    assert {code for code, _ in ends.values()} <= {0, -signal.SIGTERM, 128 + signal.SIGTERM}


async def test_h2_no_request_fails_while_every_process_is_replaced(whole_system, proxy):
    judge(*await release(whole_system, proxy, between=300, authors=40))


@pytest.mark.nightly
async def test_h2_no_request_fails_in_a_slow_release(whole_system, proxy):
    judge(*await release(whole_system, proxy, between=4000, authors=300))
