"""A6, measured on `./app api` while relay and worker send the mails."""

from functools import partial
from itertools import cycle

import pytest

from kit.people import PASSWORD, new_email
from kit.timing import interleaved
from kit.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROUNDS = 80
ACCOUNTS = 40
BOUND_MS = 5.0


async def sign_up(client):
    body = {"email": new_email(), "password": PASSWORD}
    (await client.post("/auth/signup", json=body)).raise_for_status()
    return body["email"]


async def ask(client, email):
    answer = await client.post("/auth/password-reset", json={"email": email})
    return answer.status_code, answer.content


async def outcomes(system, outcome, number):
    query = "select from audit.entries where details ->> 'outcome' = $1"
    return len(await system.fetch(query, outcome)) >= number


async def test_a6_no_address_can_be_told_by_answer_or_time(system, summary):
    async with system.api() as (_, client):
        await system.start("relay")
        await system.start("worker")
        fresh = [await sign_up(client) for _ in range(ACCOUNTS)]
        reset = [await sign_up(client) for _ in range(ACCOUNTS)]
        limited = await sign_up(client)
        for email in (*reset, *[limited] * 6):
            await ask(client, email)
        await until(partial(outcomes, system, "limited", 1), seconds=60)
        await until(partial(outcomes, system, "accepted", ACCOUNTS + 5), seconds=60)
        known, just_reset = cycle(fresh), cycle(reset)
        found = await interleaved(
            {
                "known": lambda: ask(client, next(known)),
                "unknown": lambda: ask(client, new_email()),
                "just reset": lambda: ask(client, next(just_reset)),
                "limited": lambda: ask(client, limited),
            },
            rounds=ROUNDS,
        )
        await until(partial(outcomes, system, "limited", 1 + ROUNDS), seconds=60)
    summary(f"A6 reset, medians of {ROUNDS}: {found}")
    assert {status for status, _ in found.answers} == {202}
    assert len(set(found.answers)) == 1
    assert found.spread < BOUND_MS
