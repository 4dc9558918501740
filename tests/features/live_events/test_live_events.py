"""Live updates as an event stream (SSE)."""

import asyncio
import json

import httpx
import pytest

from kernel.live import LiveClients
from kit.waiting import until


@pytest.fixture
async def server(new_live):
    return await new_live("live_events")


async def answer_of(server, query, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/api/v1") as client:
        answer = await client.get(f"/live/events?{query}", headers=headers)
    return answer.status_code, answer.json()["error"]["code"]


async def test_anyone_may_call(server):
    async with server.events("things") as told:
        assert (await told())["event"] == "subscribed"
        thing = await server.change()
        event = await told()
    assert event["event"] == "changed"
    assert json.loads(event["data"])["ids"] == {"thing_id": thing}


async def test_last_event_id_resumes_without_a_gap(server):
    async with server.events("things") as told:
        at = (await told())["id"]
    thing = await server.change()
    async with server.events("things", since=at) as told:
        assert json.loads((await told())["data"])["ids"] == {"thing_id": thing}
        assert (await told())["event"] == "subscribed"
    async with server.events("things", since="old.1") as told:
        assert (await told())["event"] == "reset"


async def test_another_users_topic_is_refused(server, author, stranger):
    query = f"topics=ends:{author.id}"
    assert await answer_of(server, query) == (404, "TOPIC_NOT_FOUND")
    assert await answer_of(server, query, stranger.token) == (404, "TOPIC_NOT_FOUND")
    async with server.events(f"ends:{author.id}", token=author.token) as told:
        assert (await told())["event"] == "subscribed"


async def test_a_token_in_the_query_is_refused(server, author):
    query = f"topics=things&token={author.token}"
    assert await answer_of(server, query) == (422, "VALIDATION_ERROR")


async def test_streams_of_a_user_are_bounded_and_a_client_that_leaves_is_forgotten(
    new_live, author
):
    server = await new_live("live_events", live_per_user=1)
    async with server.events("things", token=author.token) as told:
        await told()
        refusal = await answer_of(server, "topics=things", author.token)
        assert refusal == (429, "TOO_MANY_SOCKETS")
    clients = server.service(LiveClients)
    await until(lambda: not len(clients))


async def test_an_ended_session_ends_the_stream_at_once(server, author, client_for):
    async with server.events("things", token=author.token) as told:
        await told()
        async with client_for(author.token) as client:
            assert (await client.post("/leave")).status_code == 204
        async with asyncio.timeout(2):
            event = await told()
        assert (event["event"], json.loads(event["data"])) == ("closed", {"code": 4401})
        assert await told() == {}


async def test_a_process_that_drains_says_when_to_connect_again(server):
    async with server.events("things") as told:
        await told()
        server.drain()
        event = await told()
        assert event["event"] == "reconnect"
        assert int(event["retry"]) == json.loads(event["data"])["after_ms"]
        assert json.loads((await told())["data"]) == {"code": 1012}
    assert await answer_of(server, "topics=things") == (503, "LIVE_UNAVAILABLE")
