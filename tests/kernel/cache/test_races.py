"""K4, K12: in any order of steps, a read that begins after a drop never shows an older value.

Several processes (`Reads`, each with its own connection) use a real server. Hypothesis chooses the
next step: a round trip, the start or end of a load, or a write.
"""

from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis import Redis

from kernel.cache import reads
from kernel.cache.drops import new_version
from kernel.redis.connecting import Endpoint
from kernel.redis.multiplexed import Multiplexed
from kit.fleet import Process, World
from kit.schedule import LAST, Schedule

PROCESSES = 2
MODERATE = effort(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
THOROUGH = effort(MODERATE, max_examples=1500)

# Mostly the last actor continues, sometimes another one: a race needs one actor far ahead.
orders = st.lists(st.sampled_from([LAST] * 6 + list(range(6))), max_size=120)
process = st.integers(0, PROCESSES - 1)
calls = st.lists(st.tuples(st.sampled_from(["read", "read", "write"]), process), max_size=9)
aging = st.sampled_from(["read", "read", "write", "grow_old"])
calls_and_age = st.lists(st.tuples(aging, process), max_size=10)
harm = st.sampled_from(
    [
        *("lose all", "lose version", "lose value", "lose leases", "other version", "no version"),
        *("cut value", "older value", "list as version", "list as value", "lease of the dead"),
    ]
)
harms = st.lists(harm, max_size=6)


@pytest.fixture
async def connections(settings, valkey, monkeypatch):
    # A process waits only briefly for another one, which does not respond before its turn.
    monkeypatch.setattr(reads, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(reads, "_POLL_SECONDS", 0.001)
    endpoint = Endpoint.of(settings.model_copy(update={"redis_port": valkey.port, "redis_db": 0}))
    async with AsyncExitStack() as stack:
        found = [Multiplexed(endpoint, seconds=5.0) for _ in range(PROCESSES)]
        for one in found:
            stack.push_async_callback(one.aclose)
        yield found


async def play(connections, valkey, clock, order, actors, harmful=()):
    """Run all actors in this order, then read once more; return the world that they ran in."""
    world = World(Schedule(order), clock)
    fleet = [Process(world, connection) for connection in connections]
    seen = []

    async def read(one):
        seen.append(await one.read())

    def act(what, number):
        one = fleet[number]
        return read(one) if what == "read" else getattr(one, what)()

    async def do_harm():
        stored: list[bytes] = []
        with Redis(port=valkey.port) as server:
            for what in harmful:
                await world.schedule.pause()
                damage(server, world.lookup, what, stored)

    await world.schedule.run([*(act(*actor) for actor in actors), do_harm()])
    await world.schedule.run(read(one) for one in fleet)
    for one in fleet:
        await one.reads.aclose()
    assert all(one.at_least <= one.number <= world.number for one in seen), seen
    assert [one.number for one in seen[-PROCESSES:]] == [world.number] * PROCESSES
    return world


def damage(server, lookup, what, stored):
    """Damage the server's data as evictions, operators and other programs may.

    No damage restores an old version: a restored version also restores the values of its time.
    """
    (version,) = lookup.versions
    if server.type(lookup.key) == b"string":
        stored.append(server.get(lookup.key))
    if what == "lose all":
        server.flushall()
    elif what in {"lose version", "lose value"}:
        server.unlink(version if what == "lose version" else lookup.key)
    elif what == "lose leases":
        server.unlink("lease", *server.keys("lease:*"))
    elif what in {"other version", "no version"}:
        server.set(version, new_version() if what == "other version" else "x", ex=3600)
    elif what in {"list as version", "list as value"}:
        name = version if what == "list as version" else lookup.key
        server.unlink(name)
        server.rpush(name, "a list")
    elif what == "lease of the dead":
        now = server.get(version) if server.type(version) == b"string" else None
        server.set(f"lease:{lookup.key}:{(now or b'').decode()}", "dead", px=3000)
    elif stored:
        value = stored[-1][:-1] if what == "cut value" else stored[0]
        server.set(lookup.key, value, ex=3600)


@MODERATE
@given(orders, calls)
async def test_k4_no_order_of_steps_shows_what_a_drop_took_away(
    connections, valkey, movable_time, order, actors
):
    await play(connections, valkey, movable_time, order, actors)


@MODERATE
@given(orders, calls_and_age)
async def test_k4_no_order_of_steps_does_so_while_values_become_stale(
    connections, valkey, movable_time, order, actors
):
    await play(connections, valkey, movable_time, order, actors)


@MODERATE
@given(orders, calls_and_age, harms)
async def test_k12_no_lost_or_overwritten_key_brings_a_dropped_value_back(
    connections, valkey, movable_time, order, actors, harmful
):
    await play(connections, valkey, movable_time, order, actors, harmful)


@pytest.mark.slow
@THOROUGH
@given(orders, calls_and_age, harms)
async def test_k12_k4_with_many_more_examples(
    connections, valkey, movable_time, order, actors, harmful
):
    await play(connections, valkey, movable_time, order, actors, harmful)
