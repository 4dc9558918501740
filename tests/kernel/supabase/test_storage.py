"""Storage may be slow, away or refuse: calls end in time, and nothing else suffers."""

import json
import time
from uuid import uuid4

import pytest

from kernel.errors import Conflict, Forbidden, NotFound
from kernel.supabase import AsService, StorageAsCaller, StorageAsService, SupabaseHttp
from kernel.supabase.breaker import FAILURES
from kernel.supabase.http import SupabaseUnavailable
from kernel.supabase.storage import StorageHttp, StorageRefusal
from kit.front import dies, fails, reply, silent


def refusal(status):
    body = {"statusCode": str(status), "error": "a_code", "code": "a_code", "message": "No."}
    return json.dumps(body).encode()


@pytest.fixture
async def handles(settings, front):
    """The two handles, and the database beside them, with a deadline of 0.5 s."""
    own = front.settings(
        settings,
        supabase_timeout_seconds=0.5,
        supabase_concurrency=2,
        supabase_public_url="https://files.example.com",
    )
    async with SupabaseHttp(own) as http:
        storage = StorageHttp(http, own)
        yield StorageAsCaller(storage, "a.token"), StorageAsService(storage), AsService(http)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, refusal(404), NotFound),
        (404, refusal(404), NotFound),
        (400, refusal(403), Forbidden),
        (400, refusal(409), Conflict),
        (400, refusal(413), StorageRefusal),
        (400, refusal(500), SupabaseUnavailable),
        (400, refusal(429), SupabaseUnavailable),
        (500, refusal(500), SupabaseUnavailable),
        (502, b"<html>", SupabaseUnavailable),
        (400, b"<html>", SupabaseUnavailable),
        (404, b'{"message": "no Route matched"}', SupabaseUnavailable),
        (302, b"", SupabaseUnavailable),
        (200, b"<html>", SupabaseUnavailable),
    ],
)
async def test_the_status_in_the_body_decides_what_a_refusal_means(
    handles, front, status, body, error
):
    front.storage = fails(status, body)
    with pytest.raises(error):
        await handles[0].download_url("files", "a", save_as="a.txt")
    if status != 200:
        with pytest.raises(error):
            async with handles[1].read("files", "a"):
                pass


async def test_urls_are_those_that_clients_reach(handles, front):
    async def signs(seen):
        path = "/object/sign/files/a%20b?token=x"
        body = {"signedURL": path, "url": path, "token": "x"}
        await reply(seen, 200, json.dumps(body).encode(), **{"content-type": "application/json"})

    front.storage = signs
    url = await handles[0].download_url("files", "a b", save_as='"a" & b/ö.txt')
    base = "https://files.example.com/storage/v1"
    name = "%22a%22%20%26%20b%2F%C3%B6.txt"
    assert url == f"{base}/object/sign/files/a%20b?token=x&download={name}"
    target = await handles[0].upload_target("files", "a b")
    assert target.url == f"{base}/object/sign/files/a%20b?token=x"
    assert (target.token, target.resumable_url) == ("x", f"{base}/upload/resumable/sign")
    assert {seen.headers["authorization"] for seen in front.seen} == {"Bearer a.token"}


async def test_a_missing_bucket_is_not_the_caller_s_fault(handles, front):
    front.storage = fails(400, refusal(404))
    with pytest.raises(SupabaseUnavailable):
        await handles[0].upload_target("files", "a")


async def test_h7_a_silent_storage_ends_in_time_and_the_database_works(handles, front):
    caller, _, db = handles
    front.storage = silent
    began = time.monotonic()
    for _ in range(FAILURES + 1):
        with pytest.raises(SupabaseUnavailable):
            await caller.download_url("files", "a", save_as="a.txt")
    assert time.monotonic() - began < 0.5 * FAILURES + 2
    assert front.count("storage") == FAILURES  # then the breaker is open
    assert await db.user(uuid4()) is None


async def test_an_object_that_breaks_off_is_an_error(handles, front):
    front.storage = dies
    async with handles[1].read("files", "a") as found:
        with pytest.raises(SupabaseUnavailable):
            assert [piece async for piece in found.chunks]
