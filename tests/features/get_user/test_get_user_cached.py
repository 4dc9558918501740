"""K11: the complete user is cached for its owner, the profile for all; an admin's view is not."""

import asyncio
from uuid import uuid4

import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.small import changed


@pytest.fixture
async def cached(settings, valkey, front, patient_redis):
    """Makes clients of an application with a separate cache; `front` counts the loads."""
    own = changed(front.settings(settings, cache_enabled=True), redis_port=valkey.port, redis_db=0)
    async with running(create_app(own)) as client_for:
        yield client_for


async def test_k11_the_owners_view_is_never_given_to_another(cached, author, stranger, admin):
    url = f"/users/{author.id}"
    async with (
        cached(author.token) as own,
        cached(stranger.token) as other,
        cached(admin.token) as chief,
    ):
        for _ in range(2):
            for reader, whole in ((own, True), (other, False), (chief, True)):
                answers = await asyncio.gather(*(reader.get(url) for _ in range(3)))
                assert {author.email in answer.text for answer in answers} == {whole}


async def test_an_admins_view_is_not_kept(cached, author, admin, valkey):
    async with cached(admin.token) as chief:
        for _ in range(2):
            answer = await chief.get(f"/users/{author.id}")
            assert answer.headers["x-cache"] == "BYPASS"
            assert answer.headers["cache-control"] == "private, no-cache"
    assert valkey.client.keys("cache:*") == []


async def test_the_profile_is_loaded_once_for_all_callers(cached, author, new_person, front):
    for number in range(3):
        async with cached((await new_person()).token) as client:
            answer = await client.get(f"/users/{author.id}")
            assert answer.headers["x-cache"] == ("HIT" if number else "MISS")
    assert sum("/rpc/profile" in seen.target for seen in front.seen) == 1


async def test_k9_a_missing_user_is_looked_for_once(cached, stranger, front):
    async with cached(stranger.token) as client:
        url = f"/users/{uuid4()}"
        answers = await asyncio.gather(*(client.get(url) for _ in range(50)))
        answers += [await client.get(url) for _ in range(50)]
    assert {answer.status_code for answer in answers} == {404}
    assert sum("/rpc/profile" in seen.target for seen in front.seen) == 1
