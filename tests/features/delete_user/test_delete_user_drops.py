"""Deleting a user drops the cached reads of everything that the user leaves, without a relay."""

import pytest

from features.shared.users import UserChanged
from kit.announced import announced
from kit.slices.shared.things import ThingChanged


@pytest.fixture
def told(monkeypatch):
    """Treats the kit's events as the application's own: their tables are in the database."""
    from features.delete_user import handler
    from kernel.events import known_events

    kinds = known_events() | {ThingChanged.topic: ThingChanged}
    monkeypatch.setattr(handler, "known_events", lambda: kinds)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_reads_of_their_things_and_the_lists_are_dropped_whoever_deletes(
    own_stack, valkey, role
):
    user, token = await own_stack.sign_up()
    things = [await own_stack.thing(user, published=published) for published in (True, False)]
    await own_stack.thing(await own_stack.user())
    if role == "admin":
        _, token = await own_stack.sign_up("admin")
    settings = own_stack.settings
    async with announced(settings, valkey, ThingChanged, "thing_id") as (client_for, dropped):
        async with client_for(token) as client:
            assert (await client.delete(f"/users/{user}")).status_code == 204
        assert dropped() == {str(thing) for thing in things}


async def test_reads_of_the_user_are_dropped(own_stack, valkey):
    user, token = await own_stack.sign_up()
    settings = own_stack.settings
    async with announced(settings, valkey, UserChanged, "user_id") as (client_for, dropped):
        async with client_for(token) as client:
            assert (await client.delete(f"/users/{user}")).status_code == 204
        assert dropped() == {str(user)}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(("written", "dropped"), [(2_001, 2_001), (2_000, 2_000), (10_500, 10_000)])
async def test_at_most_10000_reads_are_dropped(own_stack, valkey, written, dropped):
    user, token = await own_stack.sign_up()
    await own_stack.sql.execute(
        "insert into public.things (title, content, author_id) "
        "select 'A thing', '', $1 from generate_series(1, $2::int)",
        user,
        written,
    )
    settings = own_stack.settings
    async with announced(settings, valkey, ThingChanged, "thing_id") as (client_for, found):
        async with client_for(token) as client:
            assert (await client.delete(f"/users/{user}")).status_code == 204
        assert len(found()) == dropped
    assert await own_stack.sql.fetchval("select count(*) from public.things") == 0


async def test_a_deletion_that_is_refused_drops_nothing(own_stack, valkey):
    user, _ = await own_stack.sign_up()
    _, token = await own_stack.sign_up()
    settings = own_stack.settings
    async with announced(settings, valkey, UserChanged, "user_id") as (client_for, dropped):
        async with client_for(token) as client:
            assert (await client.delete(f"/users/{user}")).status_code == 403
        assert dropped() == set()
