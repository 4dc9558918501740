"""A13: what is tried at one account is limited, from however many addresses."""

import asyncio
from collections import Counter

import pytest

from kernel.app import create_app
from kernel.errors import TooManyRequests
from kernel.limits import AccountLimit, Rate
from kernel.limits.account import account_key
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Policy, PolicySet
from kernel.redis import connect_pipeline
from kit.application import running
from kit.people import new_email
from kit.small import changed
from kit.waiting import many


@pytest.fixture
async def limit(settings, valkey):
    """An account limit of 5 an hour."""
    at_own = settings.model_copy(update={"redis_port": valkey.port, "redis_db": 0})
    pipeline = connect_pipeline(at_own)
    policies = PolicySet([Policy("reset_account", Rate(5, 3600))])
    yield AccountLimit(Limiter(pipeline), policies, account_key("a secret"))
    await pipeline.aclose()


async def test_a13_parallel_attempts_are_admitted_up_to_the_quota_and_no_further(limit):
    answers = await asyncio.gather(
        *(limit.reserve("ada@example.com") for _ in range(1000)), return_exceptions=True
    )
    refusals = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert len(refusals) == 995
    assert all(one.retry_after and 3590 <= one.retry_after <= 3600 for one in refusals)


async def test_an_attempt_that_is_refunded_never_was(limit):
    for _ in range(20):
        await limit.refund(await limit.reserve("ada@example.com"))
    for _ in range(5):
        await limit.reserve("ada@example.com")
    with pytest.raises(TooManyRequests):
        await limit.reserve("ada@example.com")


async def test_a_slice_that_must_not_tell_counts_without_an_error(limit):
    admitted = [await limit.admits("ada@example.com") for _ in range(7)]
    assert admitted == [True] * 5 + [False] * 2


async def test_an_account_is_one_in_any_case_and_another_is_another(limit):
    for email in ("ada@example.com", "Ada@Example.COM", "ADA@EXAMPLE.COM") * 2:
        await limit.admits(email)
    assert not await limit.admits("aDa@example.com")
    assert await limit.admits("eve@example.com")


async def test_no_address_lies_in_redis_and_every_key_ends(limit, valkey):
    await limit.reserve("ada@example.com")
    (key,) = valkey.client.scan_iter()
    assert "ada" not in key
    assert key.startswith("limit:{")
    assert len(key.partition("{")[2].partition("}")[0]) == 64  # an HMAC-SHA256 in hex
    assert 0 < valkey.client.ttl(key) <= 3601


def test_the_key_is_the_secrets_and_not_the_secret():
    assert account_key("a secret") != account_key("another")
    assert b"a secret" not in account_key("a secret")


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
        assert (await author.get("/users/me")).status_code == 200
        assert (await author.get("/posts?published_only=false")).status_code == 200


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


async def test_what_supabase_did_not_look_at_is_not_counted(settings, unused_tcp_port, author):
    body = {"email": author.email, "password": "wrong horse 9"}
    away = changed(settings, supabase_url=f"http://127.0.0.1:{unused_tcp_port}")
    async with running(create_app(away)) as client_for, client_for() as client:
        statuses = {(await client.post("/auth/login", json=body)).status_code for _ in range(25)}
    assert statuses == {503}
