"""`./app cache …`, with this worker's cache."""

import pytest

from kernel.boot import discovery
from kernel.boot.app import create_app
from kit.application import SLICES, running


@pytest.fixture
async def kept(settings, operator, monkeypatch, valkey, thing, patient_redis):
    """A response in a cache of its own; returns the key."""
    own = settings.model_copy(update={"redis_port": valkey.port, "redis_db": 0})
    monkeypatch.setenv("REDIS_PORT", str(valkey.port))
    monkeypatch.setenv("REDIS_DB", "0")
    monkeypatch.setattr(discovery, "discover", lambda: SLICES)
    async with running(create_app(own, SLICES)) as client_for, client_for() as client:
        assert (await client.get(f"/things/{thing.id}")).status_code == 200
        yield f"kept-thing:{thing.id}"


async def test_a_kept_response_is_shown_with_its_state_and_body(operator, kept):
    found = await operator("cache", "show", kept)
    assert found.exit_code == 0, found.output
    row, body = found.output.splitlines()[-2:]
    assert row.split()[:4] == [kept, "GET", "/api/v1/things/{thing_id}", "body"]
    assert body.startswith('{"success":true')


async def test_a_list_has_the_keys_without_their_bodies(operator, kept):
    for words in ((), ("kept-thing:*",)):
        found = await operator("cache", "show", *words)
        assert kept in found.output
        assert "success" not in found.output


async def test_a_response_that_an_event_dropped_says_so(operator, kept, valkey):
    valkey.client.delete(*valkey.client.keys("tag:*"))
    found = await operator("cache", "show", kept)
    assert found.output.splitlines()[-2].split()[3] == "dropped"
    assert "success" not in found.output


async def test_a_dropped_response_is_loaded_again(operator, kept):
    found = await operator("cache", "drop", kept)
    assert found.output == "Dropped 1 response.\n"
    for command in ("drop", "show"):
        found = await operator("cache", command, kept)
        assert found.exit_code == 1
        assert found.output == f"Nothing is kept under {kept}.\n"
    found = await operator("cache", "show")
    assert found.output == "The cache keeps no response.\n"


async def test_signs_of_patterns_but_the_star_are_taken_literally(operator, kept):
    for key in (f"{kept[:-1]}?", f"[k]{kept[1:]}", f"*:{kept}"):
        assert (await operator("cache", "drop", key)).exit_code == 1
    assert (await operator("cache", "drop", "kept-*")).exit_code == 0


async def test_nothing_but_cached_responses_is_dropped(operator, kept, valkey):
    valkey.client.set("other", "x")
    before = len(valkey.client.keys("*"))
    await operator("cache", "drop", "*")
    assert len(valkey.client.keys("*")) == before - 1
    assert valkey.client.exists("other")


async def test_a_cache_that_is_away_is_one_sentence(operator, monkeypatch):
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", "9")
    found = await operator("cache", "show")
    assert found.exit_code == 1
    assert "127.0.0.1:9 does not answer" in found.output
