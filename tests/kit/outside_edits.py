"""K13: an edit of a row by SQL is visible within 2 s if a relay runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx

from kit.system import System
from kit.waiting import until

SECONDS: Final = 2.0


@contextlib.asynccontextmanager
async def api_and_relay(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """Run both as processes; the relay is idle at the beginning."""
    await system.start("relay")
    async with system.api() as (_, client):
        yield client


@contextlib.asynccontextmanager
async def reader(api: httpx.AsyncClient, token: str | None = None) -> AsyncIterator[Any]:
    """Make a client for a token, or an anonymous one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers) as client:
        yield client


async def cached(system: System, client: httpx.AsyncClient, url: str) -> Any:
    """Return the cached data, once no earlier change is still to be dropped."""
    waiting = "select 1 from outbox.events where dropped_at is null"

    async def all_dropped() -> bool:
        return not await system.fetch(waiting)

    async def hit() -> httpx.Response | None:
        answer = await client.get(url)
        return answer if answer.headers["x-cache"] == "HIT" else None

    await until(all_dropped)
    return (await until(hit)).json().get("data")


async def fresh(
    client: httpx.AsyncClient, url: str, is_new: Callable[[httpx.Response], bool]
) -> float:
    """Wait until the new state is visible; return the time since the edit. The state must stay."""
    edited = time.monotonic()
    while not is_new(answer := await client.get(url)):
        assert time.monotonic() - edited < SECONDS, answer.text
        await asyncio.sleep(0.02)
    assert is_new(await client.get(url))
    return time.monotonic() - edited


def shows(name: str, value: object) -> Callable[[httpx.Response], bool]:
    """Return a function that says whether a response has this value."""
    return lambda answer: answer.json()["data"][name] == value


async def assert_edit_shows(
    system: System, url: str, statement: str, name: str, value: object, *, token: str | None = None
) -> None:
    """Run the statement past the API, and assert that a cached read shows it within 2 s."""
    async with api_and_relay(system) as api, reader(api, token) as client:
        assert (await cached(system, client, url))[name] != value
        await system.fetch(statement)
        await fresh(client, url, shows(name, value))
        assert (await cached(system, client, url))[name] == value
