"""Live updates over a WebSocket."""

import asyncio
import json
import logging
import time

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from kernel.live import LiveClients
from kit.waiting import until


@pytest.fixture
async def server(new_live):
    return await new_live("live")


@pytest.fixture
def token_of(settings):
    """Makes tokens of a person's session that are valid for so many seconds."""

    def make(person, *, seconds):
        secret = settings.jwt_secret.get_secret_value()
        claims = jwt.decode(person.token, secret, algorithms=["HS256"], audience="authenticated")
        return jwt.encode({**claims, "exp": int(time.time()) + seconds}, secret, "HS256")

    return make


async def refused(opening):
    """Return the status and the error code with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as raised:
        async with opening:
            pass
    answer = raised.value.response
    return answer.status_code, json.loads(answer.body)["error"]["code"]


async def test_anyone_may_call(server):
    async with server.socket() as socket:
        answer = await socket.follow("things")
        assert (answer["type"], answer["topics"]) == ("subscribed", ["things"])
        thing = await server.change()
        message = await socket.told()
        assert message["ids"] == {"thing_id": thing}
        assert message["topic"] == "things"


async def test_a_client_that_comes_back_is_told_what_it_missed(server):
    async with server.socket() as socket:
        at = (await socket.follow("things"))["at"]
    thing = await server.change()
    async with server.socket() as socket:
        message = await socket.follow("things", since=at)
        assert message["ids"] == {"thing_id": thing}
        assert (await socket.told())["type"] == "subscribed"
    async with server.socket() as socket:
        assert (await socket.follow("things", since="old.1"))["type"] == "reset"


async def test_another_users_topic_is_never_delivered(server, author, stranger):
    own, foreign = f"ends:{stranger.id}", f"ends:{author.id}"
    async with server.socket(stranger.token) as socket, server.socket() as anonymous:
        for one in (socket, anonymous):
            answer = await one.follow("things", foreign)
            assert (answer["type"], answer["code"]) == ("error", "TOPIC_NOT_FOUND")
        assert (await socket.follow(own))["topics"] == [own]
        assert (await anonymous.follow("things"))["topics"] == ["things"]
        await server.end_of(author.id)
        await server.end_of(stranger.id)
        thing = await server.change()
        assert (await socket.told())["topic"] == own
        assert (await anonymous.told())["ids"] == {"thing_id": thing}


async def test_a_token_may_come_in_the_first_message(server, author):
    async with server.socket() as socket:
        await socket.say("token", token=author.token)
        assert (await socket.told())["type"] == "authenticated"
        assert (await socket.follow(f"ends:{author.id}"))["type"] == "subscribed"


async def test_a_wrong_token_closes_4401_and_in_the_header_it_is_401(server):
    async with server.socket() as socket:
        await socket.say("token", token="x.y.z")
        assert await socket.code() == 4401
    assert await refused(server.socket("x.y.z")) == (401, "INVALID_TOKEN")


async def test_another_users_token_closes_4401(server, author, stranger):
    async with server.socket(author.token) as socket:
        await socket.say("token", token=stranger.token)
        assert await socket.code() == 4401


async def test_a_client_that_says_nothing_is_closed(server, monkeypatch):
    monkeypatch.setattr("kernel.web.live_socket.FIRST_SECONDS", 0.1)
    async with server.socket() as socket:
        assert await socket.code() == 4401


async def test_a_token_in_the_query_is_refused(server, author):
    path = f"/api/v1/live?token={author.token}"
    assert await refused(server.socket(path=path)) == (400, "QUERY_NOT_ALLOWED")


@pytest.mark.parametrize(
    "message", ["", "[]", "{}", '{"type": "x"}', '{"type": "subscribe", "topics": []}', b"{}"]
)
async def test_a_message_that_is_none_of_ours_closes_4400(server, message):
    async with server.socket() as socket:
        await socket.connection.send(message)
        assert await socket.code() == 4400


async def test_a_long_message_closes_1009_and_too_many_close_4429(server):
    async with server.socket() as socket:
        await socket.connection.send("x" * 4097)
        assert await socket.code() == 1009
    async with server.socket() as socket:
        for _ in range(61):
            await socket.say("unsubscribe", topics=["things"])
        assert await socket.code() == 4429


async def test_unsubscribed_topics_are_silent(server, author):
    async with server.socket(author.token) as socket:
        own = f"ends:{author.id}"
        await socket.follow("things", own)
        await socket.say("unsubscribe", topics=["things"])
        assert (await socket.told())["type"] == "unsubscribed"
        await server.change()
        await server.end_of(author.id)
        assert (await socket.told())["topic"] == own


async def test_a_foreign_origin_is_refused_and_ours_is_not(new_live):
    server = await new_live("live", cors_origins="https://app.example.com")
    foreign = {"Origin": "https://evil.example.com"}
    assert await refused(server.socket(**foreign)) == (403, "ORIGIN_NOT_ALLOWED")
    for origin in ("https://app.example.com", f"http://127.0.0.1:{server.port}"):
        async with server.socket(Origin=origin) as socket:
            assert (await socket.follow("things"))["type"] == "subscribed"


async def test_limits_count_before_a_socket_is_accepted(new_live):
    server = await new_live("live", rate_limit_default="2/minute")
    for _ in range(2):
        async with server.socket(address="127.0.0.77"):
            pass
    opening = server.socket(address="127.0.0.77")
    assert await refused(opening) == (429, "TOO_MANY_REQUESTS")


async def test_a_user_has_a_bounded_number_of_sockets(new_live, author, stranger):
    server = await new_live("live", live_per_user=1)
    async with server.socket(author.token) as first, server.socket() as second:
        await first.follow("things")
        assert await refused(server.socket(author.token)) == (429, "TOO_MANY_SOCKETS")
        await second.say("token", token=author.token)
        assert await second.code() == 4429
        async with server.socket(stranger.token) as other:
            assert (await other.follow("things"))["type"] == "subscribed"
    clients = server.service(LiveClients)
    await until(lambda: not len(clients))
    async with server.socket(author.token):
        pass


async def test_a_process_has_a_bounded_number_of_sockets(new_live):
    server = await new_live("live", live_max_sockets=1)
    async with server.socket() as socket:
        await socket.follow("things")
        assert await refused(server.socket()) == (503, "LIVE_UNAVAILABLE")


async def test_an_ended_session_closes_at_once(server, author, client_for):
    async with server.socket(author.token) as socket, server.socket() as other:
        await socket.follow("things")
        await other.follow("things")
        async with client_for(author.token) as client:
            assert (await client.post("/leave")).status_code == 204
        async with asyncio.timeout(2):
            assert await socket.code() == 4401
        thing = await server.change()
        assert (await other.told())["ids"] == {"thing_id": thing}


async def test_an_expired_token_closes_4401_unless_it_was_renewed(server, author, token_of):
    soon, later = token_of(author, seconds=2), token_of(author, seconds=60)
    async with server.socket(soon) as socket, server.socket(soon) as renewed:
        await socket.follow("things")  # else it is closed because it is silent
        await renewed.say("token", token=later)
        assert (await renewed.told())["type"] == "authenticated"
        assert await socket.code() == 4401
        assert (await renewed.follow("things"))["type"] == "subscribed"


async def test_a_process_that_drains_sends_its_clients_elsewhere_and_takes_no_new_ones(server):
    async with server.socket() as one, server.socket() as two:
        for socket in (one, two):
            await socket.follow("things")
        server.drain()
        found = [await one.told(), await two.told()]
        assert [message["type"] for message in found] == ["reconnect", "reconnect"]
        assert found[0]["after_ms"] != found[1]["after_ms"]
        assert all(0 <= message["after_ms"] < 10_000 for message in found)
        assert [await one.code(), await two.code()] == [1012, 1012]
    assert await refused(server.socket()) == (503, "LIVE_UNAVAILABLE")


async def test_a_slow_reader_delays_nobody_and_is_closed_4408(server):
    async with server.socket() as slow, server.socket() as socket:
        await socket.follow("things")
        await slow.follow("things")
        slow.connection.transport.pause_reading()
        clients = server.service(LiveClients)
        while len(clients) == 2:
            for thing in await server.changes(400):
                assert (await socket.told())["ids"] == {"thing_id": thing}
        slow.connection.transport.resume_reading()
        assert await slow.code() == 4408


async def test_clients_that_leave_while_messages_flow_cause_no_errors(server, caplog):
    for _ in range(20):
        async with server.socket() as socket:
            await socket.follow("things")
            flowing = asyncio.create_task(server.changes(60))
            await socket.told()
        await flowing
    clients = server.service(LiveClients)
    await until(lambda: not len(clients))
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_paths_without_a_socket_are_404_and_a_plain_request_is_no_socket(server):
    assert await refused(server.socket(path="/api/v1/topics/x")) == (404, "NOT_FOUND")
