"""A release under load: every process is replaced, one after the other, behind the real proxy."""

import signal
import time
from collections import Counter
from statistics import quantiles
from uuid import UUID

import httpx
import pytest

from devstack.testing import Mailbox, free_port, start_smtp
from kit.process import until as answers
from kit.proxy import HAPROXY, WHY_NOT
from kit.steady import Plan, steady
from kit.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not HAPROXY, reason=WHY_NOT),
]

RATE = 200  # requests a second, of which WRITES publish a post: each is a mail
WRITES = 10
MOST_MAILS = 8  # to one address, which gets no more than 10 an hour of this kind
SETTINGS = {
    "API_DRAIN_SECONDS": "3",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    "QUOTA_POSTS_PER_DAY": "1000000",
    "LOG_LEVEL": "WARNING",
}


async def release(system, proxy, between, authors):
    """Replace API, API, worker and relay under load, `between` answers apart; return what was seen.

    Returns the load's outcome, how long each process took to end, and how many mails each post led
    to.
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
    plan = Plan(
        url=f"https://127.0.0.1:{proxy.https}",
        authority=str(proxy.authority),
        tokens=tokens,
        rate=RATE,
        writes=WRITES,
        most_writes=MOST_MAILS * authors,
    )
    async with proxy.before(*ports), steady(plan) as load:
        for name in (*ports, "worker", "relay"):
            await passes(load, between)
            await replace(name)
        await passes(load, between)
        outcome = await load.end()
    posts = set(map(UUID, outcome.posts))
    async with smtp:
        await until(lambda: mailed(mails).keys() >= posts, seconds=120)
        await until(lambda: system.queued() == 0)
    return outcome, ends, mailed(mails)


async def passes(load, number):
    before = load.answered
    await until(lambda: load.answered > before + number, seconds=300)


def mailed(mails):
    """Count the mails about each post."""
    texts = [mail.text.partition("/posts/")[2][:36] for mail in mails.newest_first()]
    return Counter(UUID(text) for text in texts if text)


def judge(outcome, ends, mails):
    """Fail unless all went well; return the requests a second."""
    rate = len(outcome.seconds) / outcome.lasted
    print(  # noqa: T201 - figures for docs/OPERATIONS.md: pytest -s
        f"\n{len(outcome.seconds)} requests, {rate:.0f}/s, {outcome.statuses}, "
        f"P99 {1000 * quantiles(outcome.seconds, n=100)[-1]:.0f} ms; {len(outcome.posts)} posts; "
        f"SIGTERM to exit {[f'{name}: {seconds:.1f} s' for name, (_, seconds) in ends.items()]}"
    )
    assert outcome.statuses.keys() == {"200", "201"}
    assert mails == Counter(map(UUID, outcome.posts))  # the job of each post, once
    assert len(outcome.posts) > 10
    assert all(seconds <= 30 for _, seconds in ends.values())
    assert {code for code, _ in ends.values()} <= {0, -signal.SIGTERM, 128 + signal.SIGTERM}
    return rate


async def test_h2_no_request_fails_while_every_process_is_replaced(whole_system, proxy):
    judge(*await release(whole_system, proxy, between=300, authors=40))


@pytest.mark.nightly
async def test_h2_no_request_fails_in_a_slow_release_at_200_requests_a_second(whole_system, proxy):
    rate = judge(*await release(whole_system, proxy, between=4000, authors=300))
    assert rate > 0.95 * RATE
