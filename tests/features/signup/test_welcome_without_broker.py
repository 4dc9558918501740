"""C7: a long failure of the broker delays jobs, loses none, and does not delay responses."""

import time
from collections import Counter
from functools import partial

import pytest

from kit.people import PASSWORD, new_email
from kit.waiting import until


async def signup(client):
    """Sign a user up; return the address."""
    email = new_email()
    answer = await client.post("/auth/signup", json={"email": email, "password": PASSWORD})
    answer.raise_for_status()
    return email


def passed(since, seconds):
    return time.monotonic() - since > seconds


@pytest.mark.parametrize(
    "seconds_away",
    [pytest.param(20, marks=pytest.mark.slow), pytest.param(120, marks=pytest.mark.nightly)],
)
async def test_c7_after_a_time_without_a_broker_every_welcome_arrives_exactly_once(
    whole_system, mailbox, summary, seconds_away
):
    await whole_system.start("relay")
    await whole_system.start("worker")
    addresses = []
    async with whole_system.api() as (_, client):
        whole_system.broker.kill()
        away = time.monotonic()
        while time.monotonic() - away < seconds_away:
            begun = time.monotonic()
            addresses.append(await signup(client))
            assert time.monotonic() - begun < 3
            await until(partial(passed, begun, 0.5))  # a constant load
        await whole_system.broker.start()
        back = time.monotonic()

        def welcomed():
            recipients = Counter(to.address for mail in mailbox.newest_first() for to in mail.to)
            return [recipients[address] for address in addresses]

        await until(lambda: all(welcomed()), seconds=60)
        took = time.monotonic() - back
        await until(lambda: whole_system.queued() == 0)
    assert set(welcomed()) == {1}
    summary(
        f"{len(addresses)} sign-ups in {seconds_away} s without a broker: each welcomed "
        f"once, the last {took:.1f} s after it was back"
    )
