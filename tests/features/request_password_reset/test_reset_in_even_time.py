"""A6, measured on `./app api` while relay and worker send the mails."""

from functools import partial
from itertools import cycle

import jwt
import pytest

from kit.people import new_email
from kit.timing import interleaved
from kit.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROUNDS = 80
ACCOUNTS = 40
BOUND_MS = 5.0


async def email_of_new_user(system):
    _, token = await system.author()
    return jwt.decode(token, options={"verify_signature": False})["email"]


async def ask(client, email):
    answer = await client.post("/auth/password-reset", json={"email": email})
    return answer.status_code, answer.content


async def outcomes(system, outcome, number):
    query = "select from audit.entries where details ->> 'outcome' = $1"
    return len(await system.fetch(query, outcome)) >= number


async def test_a6_no_address_can_be_told_by_answer_or_time(whole_system, summary):
    async with whole_system.api() as (_, client):
        await whole_system.start("relay")
        await whole_system.start("worker")
        fresh = [await email_of_new_user(whole_system) for _ in range(ACCOUNTS)]
        reset = [await email_of_new_user(whole_system) for _ in range(ACCOUNTS)]
        limited = await email_of_new_user(whole_system)
        for email in (*reset, *[limited] * 6):
            await ask(client, email)
        await until(partial(outcomes, whole_system, "limited", 1), seconds=60)
        await until(partial(outcomes, whole_system, "accepted", ACCOUNTS + 5), seconds=60)
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
        await until(partial(outcomes, whole_system, "limited", 1 + ROUNDS), seconds=60)
    summary(f"A6 reset, medians of {ROUNDS}: {found}")
    assert {status for status, _ in found.answers} == {202}
    assert len(set(found.answers)) == 1
    assert found.spread < BOUND_MS
