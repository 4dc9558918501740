"""A13: password guesses at one account are limited, from any number of addresses."""

from collections import Counter

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.people import new_email
from kit.small import changed
from kit.waiting import many


async def test_a13_a_thousand_guesses_at_an_account_end_at_twenty_and_its_owner_stays(
    settings, author, client_for
):
    body = {"email": author.email, "password": "wrong horse 9"}
    async with client_for() as client:  # each request from another address

        async def guess():
            return await client.post("/auth/login", json=body)

        answers = await many(1000, guess)
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {401: 20, 429: 980}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 800 < int(refused.headers["retry-after"]) <= 900
        assert (await author.get("/whoami")).status_code == 200
        assert (await author.get("/whoami/stored")).status_code == 200


@pytest.mark.slow
async def test_a13_an_unknown_address_has_the_same_answers(author, client_for):
    seen = []
    async with client_for() as client:
        for email in (author.email, new_email()):
            answers = [
                await client.post("/auth/login", json={"email": email, "password": "wrong horse 9"})
                for _ in range(22)
            ]
            errors = [answer.json()["error"] for answer in answers]
            for error in errors:
                del error["details"]["request_id"]
            names = [sorted(answer.headers) for answer in answers]
            seen.append((errors, names, [answer.status_code for answer in answers]))
    assert seen[0] == seen[1]
    assert seen[0][2] == [401] * 20 + [429] * 2


@pytest.mark.slow
async def test_logins_that_succeed_are_not_counted(author, client_for):
    right = {"email": author.email, "password": author.password}
    wrong = right | {"password": "wrong horse 9"}
    async with client_for() as client:
        for _ in range(19):
            assert (await client.post("/auth/login", json=wrong)).status_code == 401
        for _ in range(5):
            assert (await client.post("/auth/login", json=right)).status_code == 200
        assert (await client.post("/auth/login", json=wrong)).status_code == 401
        assert (await client.post("/auth/login", json=right)).status_code == 429


async def test_an_attempt_that_supabase_did_not_check_is_not_counted(
    settings, unused_tcp_port, author
):
    body = {"email": author.email, "password": "wrong horse 9"}
    away = changed(settings, supabase_url=f"http://127.0.0.1:{unused_tcp_port}")
    async with running(create_app(away)) as client_for, client_for() as client:
        statuses = {(await client.post("/auth/login", json=body)).status_code for _ in range(25)}
    assert statuses == {503}
