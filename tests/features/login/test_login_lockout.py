"""S11: guesses of others do not lock an owner out at a network of an earlier login."""

from collections import Counter

import pytest

from kernel.boot.app import create_app
from kernel.identity import known_networks
from kit.application import running, whole
from kit.small import changed
from kit.waiting import many

HOME, NEIGHBOUR = "203.0.113.20", "203.0.113.21"
QUOTA = 20


@pytest.fixture
async def outside(settings, valkey, patient_redis):
    """Makes clients of an application whose counters no other test uses."""
    limits = {"login": "1000/minute"}
    own = changed(settings, redis_port=valkey.port, redis_db=0, rate_limits=limits)
    async with running(create_app(own, whole())) as client_for:
        yield client_for


async def log_in(client, person, password=None):
    body = {"email": person.email, "password": password or person.password}
    return (await client.post("/auth/login", json=body)).status_code


async def guess(client, person, times=QUOTA + 1):
    """Guess from the client's address, many times at once; return the number of each status."""
    return Counter(await many(times, lambda: log_in(client, person, "a guess 123")))


async def lock(client, person):
    """Guess from new addresses until the account's limit refuses."""
    assert await guess(client, person) == {401: QUOTA, 429: 1}


async def test_s11_others_guesses_lock_no_owner_out_at_a_known_network(outside, author):
    async with outside(address=HOME) as home, outside() as thief, outside(address=NEIGHBOUR) as new:
        assert await log_in(home, author) == 200
        await lock(thief, author)
        assert await log_in(new, author) == 429
        assert await log_in(home, author) == 200


async def test_s11_a_known_network_of_ipv6_is_its_64(outside, author):
    sent = ("2001:db8:7:1::1", "2001:db8:7:1:ffff::2", "2001:db8:7:2::1")
    first, same, other = (outside(address=one) for one in sent)
    async with first, same, other, outside() as thief:
        assert await log_in(first, author) == 200
        await lock(thief, author)
        assert await log_in(same, author) == 200
        assert await log_in(other, author) == 429


async def test_s11_a_known_network_has_a_quota_of_its_own_and_no_more(outside, author, stranger):
    async with outside(address=HOME) as home, outside() as thief:
        assert await log_in(home, author) == 200
        assert await guess(home, author, 40) == {401: QUOTA, 429: 20}
        assert await log_in(home, author) == 429
        await lock(thief, author)  # the quota for unknown networks is unused
        assert await log_in(home, stranger) == 200


async def test_s11_a_network_is_not_known_for_another_account(outside, author, stranger):
    async with outside(address=HOME) as home, outside() as thief:
        assert await log_in(home, stranger) == 200
        await lock(thief, author)
        assert await log_in(home, author) == 429


async def test_s11_a_guess_makes_no_network_known(outside, author):
    async with outside(address=HOME) as home, outside() as thief:
        assert await guess(home, author, 1) == {401: 1}
        assert await guess(thief, author) == {401: QUOTA - 1, 429: 2}
        assert await log_in(home, author) == 429


async def test_s11_a_thousand_guesses_from_unknown_networks_still_end_at_twenty(outside, author):
    async with outside(address=HOME) as home, outside() as thieves:
        assert await log_in(home, author) == 200
        assert await guess(thieves, author, 1000) == {401: QUOTA, 429: 980}


async def test_s11_known_networks_are_hashed_bounded_and_expire(outside, author, valkey):
    for number in range(known_networks.MOST + 3):
        async with outside(address=f"203.0.113.{100 + number}") as client:
            assert await log_in(client, author) == 200
    (name,) = valkey.client.scan_iter("known:*")
    kept = valkey.client.zrange(name, 0, -1)
    assert len(kept) == known_networks.MOST
    assert author.email not in name
    assert all("203.0.113" not in one for one in kept)
    assert 0 < valkey.client.ttl(name) <= known_networks.SECONDS
    for one in kept:  # as if 30 days had passed for each network, with logins since
        valkey.client.zincrby(name, -known_networks.SECONDS - 60, one)
    async with outside() as thief, outside(address="203.0.113.112") as last:
        await lock(thief, author)
        assert await log_in(last, author) == 429
