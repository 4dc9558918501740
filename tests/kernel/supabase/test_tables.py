"""What is sent for tables and functions: without httpx, and with the same guards and headers."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from postgrest import APIError

from kernel.core.request_id import request_id
from kernel.supabase import AsCaller, AsService
from kernel.supabase.http import SupabaseHttp, SupabaseUnavailable
from kernel.supabase.idempotency import IdempotencyKey
from kit.front import Front, Seen, drops_its_second, reply


def answering(front: Front, status: int = 200, body: bytes = b"[]", **headers: str) -> None:
    async def behave(seen: Seen) -> None:
        await reply(seen, status, body, **headers)

    front.rest = behave


async def test_a_query_has_its_filters_and_the_callers_headers(settings, front: Front):
    answering(front)
    key = IdempotencyKey(slice="write", key="once", fingerprint="f")
    odd = "a&b=c+d/é ü%2A"
    current = request_id.set("0123")
    try:
        async with SupabaseHttp(front.settings(settings)) as http:
            query = AsCaller(http, "token", key).table("things").select("id", "title")
            found = await query.eq("title", odd).limit(1).execute()
    finally:
        request_id.reset(current)
    assert found.data == []
    (seen,) = front.seen
    address = urlsplit(seen.target)
    assert address.path == "/rest/v1/things"
    sent = parse_qsl(address.query)
    assert sent == [("select", "id,title"), ("title", f"eq.{odd}"), ("limit", "1")]
    expected = {
        "apikey": http.key,
        "authorization": "Bearer token",
        "x-quotas": http.quotas,
        "x-request-id": "0123",
        "idempotency-key": "once",
        "accept-profile": "public",
        "content-profile": "public",
    }
    assert {name: seen.headers.get(name) for name in expected} == expected
    assert "cookie" not in seen.headers


async def test_one_callers_headers_are_never_anothers(settings, front: Front):
    answering(front)
    async with SupabaseHttp(front.settings(settings)) as http:
        await AsCaller(http, "token").table("things").select("*").execute()
        await AsCaller(http, None).table("things").select("*").execute()
        await AsService(http).rpc("last_event")
    own, anonymous, service = front.seen
    assert own.headers["authorization"] == "Bearer token"
    assert "authorization" not in anonymous.headers
    assert service.headers["apikey"] == http.service_key
    assert "x-quotas" not in service.headers


async def test_a_write_has_its_row_as_json_and_returns_the_stored_one(settings, front: Front):
    answering(front, 201, b'[{"id": 1}]')
    async with SupabaseHttp(front.settings(settings)) as http:
        stored = await AsService(http).table("things").insert({"title": "ä"}).execute()
    assert stored.data == [{"id": 1}]
    (seen,) = front.seen
    assert (seen.method, seen.body) == ("POST", '{"title":"ä"}'.encode())
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["prefer"] == "return=representation"


async def test_a_refusal_has_the_databases_code_and_details(settings, front: Front):
    answering(front, 409, b'{"code": "23505", "message": "twice", "details": "d", "hint": null}')
    async with SupabaseHttp(front.settings(settings)) as http:
        with pytest.raises(APIError) as refused:
            await AsService(http).table("things").insert({"id": 1}).execute()
    assert (refused.value.code, refused.value.details) == ("23505", "d")


async def test_a_function_that_returns_nothing_returns_an_empty_list(settings, front: Front):
    answering(front, 204, b"")
    async with SupabaseHttp(front.settings(settings)) as http:
        assert await AsService(http).rpc("settle") == []


async def test_a_redirect_is_not_followed(settings, front: Front):
    answering(front, 307, b"", location="http://127.0.0.1:1/elsewhere")
    async with SupabaseHttp(front.settings(settings)) as http:
        with pytest.raises(SupabaseUnavailable):
            await AsService(http).table("things").select("*").execute()
    assert len(front.seen) == 1


async def test_on_a_stale_connection_a_read_is_sent_again_and_a_write_never(settings, front: Front):
    drops_its_second(front)
    async with SupabaseHttp(front.settings(settings)) as http:
        db = AsService(http)
        for number in range(1, 4):
            await db.table("things").select("*").execute()
            assert len(front.seen) == 2 * number - 1
        with pytest.raises(SupabaseUnavailable) as lost:
            await db.table("things").insert({"id": 1}).execute()
        assert len(front.seen) == 6
        assert lost.value.may_have_acted
