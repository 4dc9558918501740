"""A13: attempts at one account are limited, from any number of addresses."""

import asyncio
from collections import Counter

import pytest

from kernel.config.rates import Rate
from kernel.core.derived_key import derived_key
from kernel.errors import TooManyRequests
from kernel.identity.account_limit import AccountLimit
from kernel.identity.known_networks import KnownNetworks
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Policy, PolicySet
from kernel.redis import connect_pipeline
from kit.waiting import many


@pytest.fixture
async def limit(settings, valkey):
    """An account limit of 5 per hour."""
    at_own = settings.model_copy(update={"redis_port": valkey.port, "redis_db": 0})
    pipeline = connect_pipeline(at_own)
    policies = PolicySet([Policy("reset_account", Rate(5, 3600))])
    known = KnownNetworks(pipeline, derived_key("a secret", "account limits"), "203.0.113.7")
    yield AccountLimit(Limiter(pipeline), policies, known)
    await pipeline.aclose()


async def test_a13_parallel_attempts_are_admitted_up_to_the_quota_and_no_further(limit):
    answers = await asyncio.gather(
        *(limit.reserve("ada@example.com") for _ in range(1000)), return_exceptions=True
    )
    refusals = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert len(refusals) == 995
    assert all(one.retry_after and 3590 <= one.retry_after <= 3600 for one in refusals)


async def test_a_refunded_attempt_does_not_count(limit):
    for _ in range(20):
        await limit.refund(await limit.reserve("ada@example.com"))
    for _ in range(5):
        await limit.reserve("ada@example.com")
    with pytest.raises(TooManyRequests):
        await limit.reserve("ada@example.com")


async def test_admits_counts_without_raising_an_error(limit):
    admitted = [await limit.admits("ada@example.com") for _ in range(7)]
    assert admitted == [True] * 5 + [False] * 2


async def test_accounts_are_counted_separately_and_in_any_case(limit):
    for email in ("ada@example.com", "Ada@Example.COM", "ADA@EXAMPLE.COM") * 2:
        await limit.admits(email)
    assert not await limit.admits("aDa@example.com")
    assert await limit.admits("eve@example.com")


async def test_no_address_is_in_redis_and_every_key_expires(limit, valkey):
    await limit.reserve("ada@example.com")
    (key,) = valkey.client.scan_iter()
    assert "ada" not in key
    assert key.startswith("limit:{")
    assert len(key.partition("{")[2].partition("}")[0]) == 64  # an HMAC-SHA256 in hexadecimal
    assert 0 < valkey.client.ttl(key) <= 3601


def test_the_key_of_an_account_depends_on_the_secret_and_does_not_contain_it():
    key = derived_key("a secret", "account limits")
    assert key != derived_key("another", "account limits")
    assert b"a secret" not in key


async def test_a13_a_slice_that_reserves_lets_no_more_guesses_through_than_its_quota(
    author, client_for
):
    body = {"email": author.email, "password": "wrong horse 9"}
    async with client_for() as client:  # each request from another address

        async def guess():
            return await client.post("/enter", json=body)

        answers = await many(100, guess)
        assert Counter(answer.status_code for answer in answers) == {401: 20, 429: 80}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 800 < int(refused.headers["retry-after"]) <= 900
        assert (await author.get("/mine")).status_code == 200
        assert (await author.get("/things?published_only=false")).status_code == 200
