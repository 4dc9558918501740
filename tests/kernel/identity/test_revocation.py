"""A2: every replica refuses the access tokens of ended sessions, whatever happens to Redis."""

import contextlib
import time
from functools import partial
from uuid import UUID, uuid4

import pytest

from kit.application import running
from kit.replicas import Fleet, replica_of, session_id
from kit.waiting import until

BOUND = 2.0
NEW = "another horse 10"


@pytest.mark.parametrize(
    ("scope", "left"),
    [("local", [False, True]), ("others", [True, False]), ("global", [False, False])],
)
async def test_a2_leaving_counts_at_once_on_every_replica(fleet, scope, left):
    _, tokens = await fleet.person(sessions=2)
    assert [await fleet.alive(token) for token in tokens] == [True, True]
    answer = await fleet.call(tokens[0], "POST", "/leave", json={"scope": scope})
    assert answer.status_code == 204
    assert [await fleet.alive(token) for token in tokens] == left


@pytest.mark.slow
async def test_a2_what_ends_at_auth_itself_is_refused_within_two_seconds(fleet, summary):
    await fleet.system.start("relay")
    service = fleet.system.gateway.config.service_key
    took = {}
    for scope, gone in (("local", [0]), ("others", [1, 2]), ("global", [0, 1, 2])):
        _, tokens = await fleet.person(sessions=3)
        await fleet.logout_at_auth(tokens[0], scope)
        took[f"logout {scope}"] = await fleet.ended(*(tokens[number] for number in gone))
        alive = [await fleet.alive(token) for token in tokens]
        assert alive == [number not in gone for number in range(3)]
    _, tokens = await fleet.person(sessions=2)
    await fleet.at_auth("PUT", "/user", tokens[0], json={"password": NEW})
    took["password"] = await fleet.ended(tokens[1])
    assert await fleet.alive(tokens[0])
    user_id, tokens = await fleet.person(sessions=2)
    await fleet.at_auth("DELETE", f"/admin/users/{user_id}", service)
    took["deletion"] = await fleet.ended(*tokens)
    user_id, tokens = await fleet.person(sessions=2)
    await fleet.system.fetch("delete from auth.users where id = $1", user_id)
    took["deletion by SQL"] = await fleet.ended(*tokens)
    summary(f"A2: ended at Auth, refused everywhere after at most {max(took.values()):.2f} s")
    assert max(took.values()) <= BOUND, took


@pytest.mark.slow
async def test_a2_real_processes_agree(system, fleet):
    await system.start("relay")
    _, tokens = await fleet.person(sessions=3)
    async with system.api() as (_, one), system.api() as (_, other):

        async def status(client, token):
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get("/mine", headers=headers)).status_code

        for client in (one, other):
            assert [await status(client, token) for token in tokens] == [200] * 3
        headers = {"Authorization": f"Bearer {tokens[0]}"}
        assert (await one.post("/leave", headers=headers)).status_code == 204
        assert [await status(client, tokens[0]) for client in (other, one)] == [401, 401]
        begun = time.monotonic()
        await fleet.logout_at_auth(tokens[1])
        for client in (other, one):
            await until(partial(is_refused, status, client, tokens[1]))
        assert time.monotonic() - begun <= BOUND
        assert [await status(client, tokens[2]) for client in (other, one)] == [200, 200]


async def is_refused(status, client, token):
    return await status(client, token) == 401


async def restart(cache):
    cache.kill()
    await cache.start()


async def restart_from_an_old_file(cache):
    """Like a server with snapshots: it has lost the newest entries, but not its mark "complete"."""
    cache.client.delete("revoked")
    cache.client.zadd("revoked", {"loaded": "inf"})
    cache.client.save()
    cache.kill()
    await cache.start()
    assert cache.client.zrange("revoked", 0, -1) == ["loaded"]


async def flushall(cache):
    cache.client.flushall()


async def evict(cache):
    cache.client.config_set("maxmemory-policy", "allkeys-random")
    cache.client.config_set("maxmemory", "1")
    with contextlib.suppress(Exception):
        cache.client.set("anything", "x")
    await until(lambda: not cache.client.exists("revoked"))
    cache.client.config_set("maxmemory", "0")


async def script_flush(cache):
    cache.client.script_flush()


async def wrong_type(cache):
    cache.client.delete("revoked")
    cache.client.set("revoked", "no set")


LOSSES = [restart, restart_from_an_old_file, flushall, evict, script_flush, wrong_type]


@pytest.mark.parametrize("lose", LOSSES)
async def test_a2_nothing_that_happens_to_redis_revives_a_session(fleet, lose):
    _, (ended, lives) = await fleet.person(sessions=2)
    # A third replica has no local copy: it knows only what Redis and the database contain.
    assert (await fleet.call(ended, "POST", "/leave")).status_code == 204
    assert await fleet.alive(lives)
    await lose(fleet.system.cache)
    async with running(replica_of(fleet.system)) as client_for:
        newcomer = Fleet(fleet.system, [client_for, *fleet.replicas[1:]], fleet.supabase)
        for _ in range(3):
            assert not await newcomer.alive(ended)
            assert not await fleet.alive(ended)
            assert await newcomer.alive(lives)

        async def whole():
            await newcomer.alive(lives)
            with contextlib.suppress(Exception):
                return fleet.system.cache.client.zscore("revoked", session_id(ended))

        assert await until(whole)


async def test_a2_a_list_beyond_max_rows_is_loaded_whole(fleet):
    user_id, (ended, lives) = await fleet.person(sessions=2)
    await fleet.logout_at_auth(ended)
    await fleet.system.fetch(
        """insert into identity.revoked_sessions (id, user_id, expires_at)
           select gen_random_uuid(), $1, now() + interval '1 hour' from generate_series(1, 2500)""",
        user_id,
    )
    assert not await fleet.alive(ended)
    assert await fleet.alive(lives)
    assert fleet.system.cache.client.zcard("revoked") == 2501 + 1


async def test_sessions_whose_tokens_have_expired_are_forgotten(fleet):
    user_id, (token, other) = await fleet.person(sessions=2)
    await fleet.system.fetch(
        """insert into identity.revoked_sessions (id, user_id, expires_at)
           values ($1, $2, now() - interval '1 second')""",
        *(UUID(session_id(token)), user_id),
    )
    fleet.system.cache.client.zadd("revoked", {str(uuid4()): time.time() - 1})
    assert await fleet.alive(token)
    await fleet.call(other, "POST", "/leave")
    found = fleet.system.cache.client.zrange("revoked", 0, -1)
    assert set(found) == {"loaded", session_id(other)}


@contextlib.contextmanager
def refused(cache):
    cache.kill()
    yield


FAULTS = {"refused": refused, "silent": lambda cache: cache.frozen()}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
async def test_a2_with_redis_down_an_end_is_known_within_two_seconds(fleet, fault, summary):
    _, (first, second, lives) = await fleet.person(sessions=3)
    for token in (first, second, lives):
        assert await fleet.alive(token)
    with FAULTS[fault](fleet.system.cache):
        assert await fleet.alive(first)
        begun = time.monotonic()
        assert (await fleet.call(first, "POST", "/leave")).status_code == 204
        assert not await fleet.counts(first, 0)  # at once on the replica that ended it
        await fleet.ended(first)
        through_us = time.monotonic() - begun
        begun = time.monotonic()
        await fleet.logout_at_auth(second)
        await fleet.ended(second)
        at_auth = time.monotonic() - begun
        assert await fleet.alive(lives)
    summary(f"A2: Redis {fault}: refused everywhere after {max(through_us, at_auth):.2f} s")
    assert max(through_us, at_auth) <= BOUND


@pytest.mark.slow
async def test_a2_what_ended_while_redis_was_silent_stays_ended_when_it_is_back(fleet):
    _, (ended, at_auth, lives) = await fleet.person(sessions=3)
    assert await fleet.alive(ended)
    with fleet.system.cache.frozen():
        assert await fleet.alive(lives)  # so that both have seen it
        await fleet.call(ended, "POST", "/leave")
        await fleet.logout_at_auth(at_auth)
        await fleet.ended(ended, at_auth)
    # Redis still has the mark "complete", although entries are missing; no relay adds them.
    tokens = (ended, at_auth)

    async def healed():
        assert [await fleet.alive(token) for token in (*tokens, lives)] == [False, False, True]
        return all(
            fleet.system.cache.client.zscore("revoked", session_id(token)) for token in tokens
        )

    await until(healed)
    assert [await fleet.alive(token) for token in tokens] == [False, False]
    assert await fleet.alive(lives)


@pytest.mark.slow
async def test_a2_a_replica_that_did_not_notice_learns_of_it_from_the_relay(fleet):
    relay = await fleet.system.start("relay")
    _, (ended, lives) = await fleet.person(sessions=2)
    assert await fleet.alive(ended)
    with fleet.system.cache.frozen():
        await fleet.call(ended, "POST", "/leave", replica=0)
        await until(lambda: "The cache does not answer" in relay.printed)
    assert await fleet.ended(ended, replicas=[1]) <= BOUND
    assert await fleet.alive(lives)


@pytest.mark.slow
async def test_a2_a_redis_that_refuses_writes_is_not_trusted(fleet):
    _, (ended, lives) = await fleet.person(sessions=2)
    assert await fleet.alive(ended)
    client = fleet.system.cache.client
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    await fleet.call(ended, "POST", "/leave")
    assert await fleet.ended(ended) <= BOUND
    assert await fleet.alive(lives)
    client.config_set("maxmemory", "0")

    async def whole():
        assert [await fleet.alive(token) for token in (ended, lives)] == [False, True]
        return client.zscore("revoked", "loaded")

    await until(whole)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
async def test_a2_with_the_database_down_too_the_last_list_counts(fleet, fault):
    _, (ended, lives) = await fleet.person(sessions=2)
    await fleet.logout_at_auth(ended)
    async with running(replica_of(fleet.system)) as newcomer:
        with FAULTS[fault](fleet.system.cache):
            assert not await fleet.alive(ended)
            assert await fleet.alive(lives)
            fleet.system.gateway.stop()
            assert not await fleet.alive(ended)
            assert await fleet.alive(lives)
            # A replica that never had a list cannot check, so it refuses.
            async with newcomer(lives) as client:
                answer = await client.get("/whoami")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0


async def test_with_the_database_down_a_complete_copy_in_redis_is_used(fleet):
    _, (ended, lives) = await fleet.person(sessions=2)
    await fleet.call(ended, "POST", "/leave")
    assert await fleet.alive(lives)
    fleet.system.gateway.stop()
    async with running(replica_of(fleet.system)) as newcomer:
        only = Fleet(fleet.system, [newcomer, newcomer], fleet.supabase)
        assert not await only.alive(ended)
        assert await only.alive(lives)
        # Redis did not answer for a moment: its list is still the best source.
        with fleet.system.cache.frozen():
            async with newcomer(lives) as client:
                assert (await client.get("/whoami")).status_code == 503

        async def back():
            async with newcomer(lives) as client:
                return (await client.get("/whoami")).status_code == 200

        await until(back)
        assert not await only.alive(ended)
