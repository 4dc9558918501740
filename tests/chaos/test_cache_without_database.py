"""Cached reads while the database is unavailable (K10)."""

import time

import pytest

from kit.readers import readers

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TTL, STALE = 2, 4  # TTL and stale window of short things, which vary by a tenth
AT_ONCE = 0.3  # seconds: no reader waits for a renewal that fails
EDITED = {"title": "A new title", "content": "{}", "published": True}


async def test_k10_an_old_value_is_given_in_its_window_and_503_after_it(system, summary):
    author, _ = await system.author()
    thing = await system.publish(author)
    async with (
        system.api() as (_, client),
        readers(1, [client.base_url.port]) as (reader,),
    ):
        first = await reader.get(f"/short-things/{thing}")
        loaded = time.monotonic()
        assert (first.status, first.cache) == (200, "MISS")
        async with system.away():
            seen: list[tuple[int, str | None]] = []
            ends = {}
            answer = first
            while answer.status == 200:
                answer = await reader.get(f"/short-things/{thing}")
                state = (answer.status, answer.cache)
                assert answer.status == 503 or answer.body == first.body
                if seen[-1:] != [state]:
                    seen.append(state)
                ends[state] = time.monotonic() - loaded
        assert seen == [(200, "HIT"), (200, "STALE"), (503, "MISS")]
        assert answer.seconds <= AT_ONCE
        old, gone = ends[200, "HIT"], ends[200, "STALE"]
        assert 0.9 * TTL - 0.2 <= old <= 1.1 * TTL + 0.2
        assert 0.9 * (TTL + STALE) - 0.2 <= gone <= 1.1 * (TTL + STALE) + 0.2
    summary(f"K10: without a database stale after {old:.1f} s, 503 after {gone:.1f} s")


async def test_k10_a_dropped_value_is_never_given_again(system):
    author, token = await system.author()
    things = [await system.publish(author) for _ in range(2)]
    paths = [f"/short-things/{thing}" for thing in things]
    async with (
        system.api() as (_, client),
        readers(1, [client.base_url.port]) as (reader,),
    ):
        for path in paths:
            await reader.get(path)
            assert (await reader.get(path)).cache == "HIT"
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.put(f"/things/{things[0]}", json=EDITED, headers=headers)
        assert answer.status_code == 200, answer.text
        async with system.away():
            while True:
                dropped, kept = [await reader.get(path) for path in paths]
                assert dropped.status == 503
                if kept.status == 503:  # both stale windows are over
                    break
