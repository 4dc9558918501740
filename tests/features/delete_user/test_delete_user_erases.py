"""S11: when a deletion responds, Redis has no data of the deleted user any more."""

from typing import Any

import pytest
from redis import Redis

from features import delete_user
from features.delete_user import handler
from kernel.boot.app import create_app
from kernel.events import known_events
from kit.application import SLICES, running
from kit.people import PASSWORD
from kit.slices.shared.users import UserChanged

TITLE, NAME = "Diary of Ada", "Ada of the diary"


@pytest.fixture
async def client_for(own_stack, monkeypatch):
    """The kit's application with a separate cache, and the slice with the kit's events."""
    monkeypatch.setattr(handler, "known_events", lambda: known_events("kit.slices.shared"))
    monkeypatch.setattr(handler, "UserChanged", UserChanged)
    app = create_app(own_stack.settings, {**SLICES, "delete_user": delete_user.feature})
    async with running(app) as client_for:
        yield client_for


READ: dict[Any, tuple[Any, ...]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", 0, -1),
    b"zset": ("ZRANGE", 0, -1),
}


def holding(own, *words):
    """Return the keys whose names or values contain one of the words."""
    found = set()
    with Redis(port=own.cache.port) as redis:
        for name in redis.scan_iter(count=1000):
            command, *rest = READ[redis.type(name)]
            text = f"{name.decode()} {redis.execute_command(command, name, *rest)}"
            if any(word in text for word in words):
                found.add(name.decode())
    return found


async def test_s11_a_deletion_leaves_nothing_of_the_user_in_redis(own_stack, client_for):
    user, token = await own_stack.sign_up()
    _, other = await own_stack.sign_up()
    email = await own_stack.sql.fetchval("select email from auth.users where id = $1", user)
    await own_stack.sql.execute(
        "update public.profiles set display_name = $2 where id = $1", user, NAME
    )
    thing = await own_stack.thing(user)
    await own_stack.sql.execute("update public.things set title = $2 where id = $1", thing, TITLE)
    async with client_for(token) as own, client_for(other) as stranger, client_for() as anybody:
        for client, url in (
            (anybody, f"/things/{thing}"),
            (own, "/mine"),
            (own, f"/people/{user}"),
            (stranger, f"/people/{user}"),
        ):
            await client.get(url)
            assert (await client.get(url)).headers["x-cache"] == "HIT"
        body = {"email": email, "password": PASSWORD}
        assert (await anybody.post("/enter", json=body)).status_code == 200
        assert len(holding(own_stack, TITLE, NAME, email)) == 4
        assert (await own.delete(f"/users/{user}")).status_code == 204
    assert holding(own_stack, TITLE, NAME, email) == set()
    assert all(name.startswith("tag:") for name in holding(own_stack, str(user)))
