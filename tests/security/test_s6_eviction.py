"""S6: no reads can evict the counted attempts at an account or the end of a session."""

from uuid import uuid4

import pytest

from kernel.boot.app import create_app
from kit.application import SLICES, running
from kit.people import new_email
from kit.small import changed
from kit.waiting import until

ATTEMPTS = 20
FULL = 6 * 1024 * 1024


@pytest.fixture
async def own(own_stack, settings):
    """An application with an evicting cache and a broker without eviction, as in production."""
    cache = own_stack.cache.client
    cache.config_set("maxmemory-policy", "volatile-lru")
    cache.config_set("maxmemory", FULL)
    found = changed(
        settings,
        redis_port=own_stack.cache.port,
        redis_db=0,
        broker_host="127.0.0.1",
        broker_port=own_stack.broker.port,
        rate_limit_default="100000/minute",
        rate_limit_fallback="100000/minute",
    )
    async with running(create_app(found, SLICES)) as client_for:
        yield own_stack, client_for
    cache.config_set("maxmemory", 0)


async def push_out(client, cache, thing):
    """Read until the cache has evicted many keys."""
    before = cache.info("stats")["evicted_keys"]

    async def evicted():
        await client.get(f"/things/{uuid4()}")
        await client.get(f"/things?page={uuid4().int % 100 + 1}&page_size=100")
        return cache.info("stats")["evicted_keys"] - before

    for number in range(60):
        cache.set(f"filler:{number}", "x" * 200_000, ex=600)  # as large responses would
        await evicted()
    await until(lambda: cache.info("stats")["evicted_keys"] - before > 30)
    await client.get(f"/things/{thing.id}")


async def test_s6_reads_do_not_reset_the_guesses_at_an_account(own, thing):
    stack, client_for = own
    body = {"email": new_email(), "password": "wrong horse 9"}
    async with client_for() as client:  # each request has a new address

        async def guess():
            return (await client.post("/enter", json=body)).status_code

        assert [await guess() for _ in range(ATTEMPTS)] == [401] * ATTEMPTS
        assert await guess() == 429
        await push_out(client, stack.cache.client, thing)
        assert await guess() == 429
    assert len(stack.broker.client.keys("limit:*")) == 1


async def test_s6_reads_do_not_revive_a_session(own, author, thing):
    stack, client_for = own
    async with client_for(author.token) as client, client_for() as other:
        assert (await client.get("/whoami")).status_code == 200
        assert (await client.post("/leave")).status_code == 204
        assert stack.cache.client.ttl("revoked") == -1
        await push_out(other, stack.cache.client, thing)
        assert stack.cache.client.zscore("revoked", "loaded") is not None
        assert (await client.get("/whoami")).status_code == 401


async def test_s6_a_read_of_what_does_not_exist_leaves_nothing_for_long(own, thing):
    stack, client_for = own
    async with client_for() as client:
        assert (await client.get(f"/things/{uuid4()}")).status_code == 404
        cache = stack.cache.client
        assert max(cache.ttl(key) for key in cache.keys("*")) <= 400
        assert (await client.get(f"/things/{thing.id}")).status_code == 200
        assert cache.ttl(f"tag:kept-thing:{thing.id}") >= 48 * 3600 - 5


async def test_s6_without_the_broker_requests_still_work(own, author):
    stack, client_for = own
    stack.broker.kill()
    async with client_for(author.token) as client:
        body = {"title": "A title", "content": ""}
        assert (await client.post("/things", json=body)).status_code == 201
        assert (await client.get("/mine")).status_code == 200
        login = {"email": author.email, "password": author.password}
        assert (await client.post("/enter", json=login)).status_code == 200
    await stack.broker.start()
