"""Retries on a broken connection: a GET is sent again, once; a write never is."""

import pytest

from kernel.supabase.breaker import FAILURES
from kernel.supabase.http import SupabaseHttp, SupabaseUnavailable
from kit.front import Front, drops_its_second, refuses


async def test_a_get_on_a_stale_connection_is_sent_once_more(settings, front: Front):
    drops_its_second(front)
    async with SupabaseHttp(front.settings(settings)) as http:
        for number in range(1, 4):
            assert (await http.get(f"{http.base}/rest/v1/posts")).status_code == 200
            assert len(front.seen) == 2 * number - 1


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_what_may_have_been_done_is_never_sent_again(settings, front: Front, method):
    drops_its_second(front)
    async with SupabaseHttp(front.settings(settings)) as http:
        url = f"{http.base}/rest/v1/posts"
        assert (await http.request(method, url, json={})).status_code == 200
        with pytest.raises(SupabaseUnavailable):
            await http.request(method, url, json={})
        assert len(front.seen) == 2
        assert (await http.request(method, url, json={})).status_code == 200


async def test_a_server_that_breaks_every_connection_off_is_not_asked_without_end(
    settings, front: Front, frozen_time
):
    front.rest = refuses
    async with SupabaseHttp(front.settings(settings)) as http:
        for _ in range(FAILURES * 4):
            with pytest.raises(SupabaseUnavailable):
                await http.get(f"{http.base}/rest/v1/posts")
    assert len(front.seen) == FAILURES * 2  # aiohttp also retries once on a new connection


async def test_connections_are_kept(settings, front: Front):
    async with SupabaseHttp(front.settings(settings)) as http:
        for _ in range(5):
            await http.get(f"{http.base}/auth/v1/health")
        assert len({seen.writer for seen in front.seen}) == 1
