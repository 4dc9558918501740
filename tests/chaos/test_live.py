"""Live updates through whole processes: a relay and a Redis that are killed, and a deploy."""

import signal

import pytest

from kit.live import opened
from kit.posts import store_published

pytestmark = pytest.mark.slow


async def changes(socket, wanted):
    """Read until the change of a post is told, or `reset`, which covers it; return which."""
    while True:
        message = await socket.told()
        if message["type"] == "reset":
            return "reset"
        if message["type"] == "changed" and message["ids"]["post_id"] == str(wanted):
            return "changed"


async def test_a_killed_relay_and_a_killed_redis_lose_nothing_after_resume(whole_system):
    author, _ = await whole_system.author()
    relay = await whole_system.start("relay")
    async with whole_system.api() as (_, client):
        port = client.base_url.port
        async with opened(port) as socket:
            at = (await socket.follow("posts"))["at"]
            post = await store_published(whole_system, author)
            assert await changes(socket, post) == "changed"
        relay.kill()
        missed = await store_published(whole_system, author)
        await whole_system.start("relay")
        async with opened(port) as socket:
            await socket.say("subscribe", topics=["posts"], since=at)
            assert await changes(socket, missed) == "changed"
            whole_system.cache.kill()
            lost = await store_published(whole_system, author)
            await whole_system.cache.start()
            assert await changes(socket, lost) == "reset"
            later = await store_published(whole_system, author)
            assert await changes(socket, later) in {"changed", "reset"}


async def test_a_deploy_sends_clients_elsewhere_and_loses_none(whole_system):
    async with whole_system.api(API_DRAIN_SECONDS="2") as (process, client):
        async with opened(client.base_url.port) as socket:
            await socket.follow("posts")
            process.signal(signal.SIGTERM)
            message = await socket.told()
            assert message["type"] == "reconnect"
            assert await socket.code() == 1012
        await process.ended()
