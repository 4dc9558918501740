"""Limit, session and cached response are one round trip to Redis (R6); refusals cost less (R9)."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kernel.boot.app import create_app
from kernel.edge.edge import Edge
from kit.application import SLICES, running
from kit.small import changed
from kit.waiting import until
from kit.wire import wire_to

ADDRESS = "203.0.113.9"


@pytest.fixture
async def wire(valkey):
    async with wire_to(valkey.port) as wire:
        yield wire


@pytest.fixture
async def clients(settings, wire):
    """Makes clients of an application whose Redis is behind the wire."""
    app = create_app(changed(settings, redis_port=wire.port, redis_db=0), SLICES)
    async with running(app) as client_for:
        yield client_for


def remaining(answer):
    """Return the remaining requests that the response states."""
    return int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])


async def asked_for(wire, call):
    """Return the response to a call, and its commands to Redis, write by write."""
    before = len(wire.asked)
    answer = await call
    return answer, wire.asked[before:]


PATHS = ["/mine", "/people/{author.id}", "/things/{thing.id}", "/things?page=1"]


@pytest.mark.parametrize("path", PATHS)
async def test_r6_limit_session_and_cached_answer_are_one_round_trip(
    clients, wire, author, thing, path
):
    path = path.format(author=author, thing=thing)
    async with clients(author.token, address=ADDRESS) as client:
        for _ in range(2):  # first the token is new, then the response
            await client.get(path)
        answer, asked = await asked_for(wire, client.get(path))
        assert answer.headers["x-cache"] == "HIT"
        assert asked == [["EVALSHA", "EVALSHA", "MGET"]]
        etag = {"If-None-Match": answer.headers["etag"]}
        answer, asked = await asked_for(wire, client.get(path, headers=etag))
        assert answer.status_code == 304
        assert asked == [["EVALSHA", "EVALSHA", "MGET"]]


async def test_r6_what_is_not_cached_takes_one_round_trip_too(clients, wire, author):
    async with (
        clients(author.token, address=ADDRESS) as client,
        clients(address=ADDRESS) as anyone,
    ):
        await client.get("/rule")
        answer, asked = await asked_for(wire, client.get("/rule"))
        assert answer.status_code == 403
        assert asked == [["EVALSHA", "EVALSHA"]]
        await anyone.get("/motto")
        _, asked = await asked_for(wire, anyone.get("/motto"))
        assert asked == [["EVALSHA", "MGET"]]
        _, asked = await asked_for(wire, anyone.get("/nowhere"))
        assert asked == [["EVALSHA"]]


async def test_r6_scripts_that_redis_has_lost_are_loaded_again(clients, wire, author, valkey):
    async with clients(author.token, address=ADDRESS) as client:
        await client.get("/mine")
        before = remaining(await client.get("/mine"))
        valkey.client.script_flush()
        answer, asked = await asked_for(wire, client.get("/mine"))
        assert answer.status_code == 200
        assert remaining(answer) == before - 1  # counted once, after all earlier requests
        assert len(asked) > 1
        answer, asked = await asked_for(wire, client.get("/mine"))
        assert remaining(answer) == before - 2
        assert asked == [["EVALSHA", "EVALSHA", "MGET"]]


async def test_r6_a_redis_that_was_restarted_is_one_round_trip_again(clients, wire, author, valkey):
    async with clients(author.token, address=ADDRESS) as client:
        await client.get("/mine")
        valkey.kill()
        assert (await client.get("/mine")).status_code == 200
        await valkey.start()

        async def is_hit():
            answer = await client.get("/mine")
            assert answer.status_code == 200
            return answer.headers["x-cache"] == "HIT"

        await until(is_hit, seconds=5)
        answer, asked = await asked_for(wire, client.get("/mine"))
        assert answer.headers["x-cache"] == "HIT"
        assert asked == [["EVALSHA", "EVALSHA", "MGET"]]


async def test_r6_a_session_that_has_ended_is_seen_in_that_round_trip(clients, wire, author, thing):
    async with clients(author.token, address=ADDRESS) as client:
        await client.get(f"/things/{thing.id}")
        assert (await client.get(f"/things/{thing.id}")).headers["x-cache"] == "HIT"
        assert (await client.post("/leave")).status_code == 204
        answer, asked = await asked_for(wire, client.get(f"/things/{thing.id}"))
        assert answer.status_code == 401
        assert asked == [["EVALSHA", "EVALSHA", "MGET"]]


async def test_r9_a_refused_request_is_neither_verified_nor_passed_on(
    settings, front, valkey, author
):
    changes = {"redis_port": valkey.port, "redis_db": 0, "rate_limit_default": "3/minute"}
    app = create_app(front.settings(settings, cache_enabled=True, **changes), SLICES)
    key = ec.generate_private_key(ec.SECP256R1())
    unknown = jwt.encode({"sub": "x"}, key, algorithm="ES256", headers={"kid": "nobody's"})
    async with (
        running(app) as client_for,
        client_for(address=ADDRESS) as anyone,
        client_for(author.token, address=ADDRESS) as caller,
        client_for(unknown, address=ADDRESS) as nobody,
    ):
        edge = app.front
        assert isinstance(edge, Edge)
        for _ in range(3):
            assert (await anyone.get("/things")).status_code == 200
        reached = len(front.seen)
        refused = [
            await anyone.get("/things?page=2"),
            await caller.get("/mine"),
            await caller.post("/things", json={"title": "A title", "content": ""}),
            await nobody.get("/mine"),  # if it were admitted, its signing key would be fetched
            await nobody.get("/nowhere"),
        ]
        assert {answer.status_code for answer in refused} == {429}
        assert len(front.seen) == reached
        assert edge.services.verifier.remembered(author.token) is None
        valkey.client.flushall()
        assert (await caller.get("/mine")).status_code == 200
        assert edge.services.verifier.remembered(author.token) is not None
        assert (await nobody.get("/mine")).status_code == 401
        assert front.count("auth") == 1
