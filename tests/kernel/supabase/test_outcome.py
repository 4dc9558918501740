"""O13: the response to a write that may have been carried out never suggests a retry."""

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.errors import Unavailable
from kernel.supabase.outcome import marked
from kit.application import SLICES, running
from kit.front import dies, fails, refuses, silent

NEW = {"title": "A title", "content": "Some content.", "published": False}
SENT = {
    "connection lost": refuses,
    "silent": silent,
    "dies in the middle": dies,
    "502": fails(502, b"<html></html>"),
    "504": fails(504),
}
NOT_CARRIED_OUT = {
    "503": fails(503),
    "no connection to the database": fails(504, b'{"code": "PGRST003", "message": "-"}'),
    "canceled": fails(500, b'{"code": "57014", "message": "-"}'),
}


@pytest.fixture
async def client(settings, front, author):
    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for(author.token) as client:
        yield client


@pytest.mark.parametrize("behaviour", SENT.values(), ids=SENT)
async def test_o13_after_a_write_without_a_response_no_retry_is_suggested(client, front, behaviour):
    assert (await client.get("/mine")).status_code == 200  # so that the caller is known
    front.rest = behaviour
    before = front.count("rest")
    answer = await client.post("/things", json=NEW)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "OUTCOME_UNKNOWN"
    assert "retry-after" not in answer.headers
    assert front.count("rest") == before + 1


@pytest.mark.parametrize("behaviour", NOT_CARRIED_OUT.values(), ids=NOT_CARRIED_OUT)
async def test_o13_a_write_that_was_not_carried_out_may_come_again(client, front, behaviour):
    assert (await client.get("/mine")).status_code == 200
    front.rest = behaviour
    answer = await client.post("/things", json=NEW)
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1


async def test_o13_a_write_that_was_never_sent_may_come_again(client, front):
    assert (await client.get("/mine")).status_code == 200
    await front.close()
    answer = await client.post("/things", json=NEW)
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1


async def test_o13_a_read_may_come_again(client, front):
    front.rest = silent
    answer = await client.get("/mine")
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "unknown"),
    [
        ("POST", "/auth/v1/signup", {}, True),
        ("PUT", "/auth/v1/user", {}, True),
        ("POST", "/rest/v1/posts", {}, True),
        ("GET", "/rest/v1/posts", {}, False),
        # A repetition of these is harmless.
        ("POST", "/auth/v1/token", {}, False),
        ("POST", "/auth/v1/logout", {}, False),
        ("POST", "/rest/v1/posts", {"Idempotency-Key": "a key"}, False),
    ],
)
def test_o13_the_outcome_of_a_repeatable_request_is_never_unknown(method, path, headers, unknown):
    request = httpx.Request(method, f"http://127.0.0.1{path}", headers=headers)
    error = marked(Unavailable(), request, httpx.ReadTimeout(""))
    assert error.may_have_acted is unknown
