"""Supabase refuses, hangs or fails: the response is always one error, 503, before the deadline."""

import asyncio
from uuid import uuid4

import pytest
from fastapi import APIRouter
from svcs import Container, Registry

from kernel import Feature, Limit
from kernel.boot.app import create_app
from kernel.boot.services import JOB_SERVICES, REQUEST_SERVICES, register_services
from kernel.cache import CacheWarmer
from kernel.supabase.http import SupabaseHttp, bearer
from kernel.supabase.probe import FRESH_SECONDS, Probe
from kit.application import SLICES, running
from kit.away import assert_unavailable
from kit.front import pointed_at
from kit.resp import listening


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()


async def broken_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    writer.close()


@pytest.mark.parametrize("talk", [silent, failing, broken_off])
async def test_a5_a_supabase_that_does_not_answer_is_503_in_time(settings, talk, author):
    async with listening(talk) as port:
        app = create_app(pointed_at(settings, port, supabase_mail_timeout_seconds=2), SLICES)
        async with running(app) as client_for, client_for(author.token) as client:
            body = {"email": author.email, "password": author.password}
            async with asyncio.timeout(4):
                answers = await asyncio.gather(
                    client.post("/enter", json=body),
                    client.post("/join", json=body),
                    client.get("/mine"),
                    client.get("/things?published_only=false"),  # this one is never cached
                )
    for answer in answers:
        assert_unavailable(answer)
        assert author.password not in answer.text


async def test_a5_a_supabase_that_refuses_connections_is_503(settings, unused_tcp_port, author):
    app = create_app(pointed_at(settings, unused_tcp_port), SLICES)
    async with running(app) as client_for, client_for(author.token) as client:
        assert (await client.get("/mine")).status_code == 503


async def test_the_shared_client_keeps_no_cookies(settings):
    seen: list[bytes] = []

    async def with_cookie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            seen.append(request.lower())
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: who=ada\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    async with listening(with_cookie) as port, SupabaseHttp(pointed_at(settings, port)) as http:
        for _ in range(2):
            await http.get(f"{http.base}/rest/v1/")
    assert len(seen) == 2
    assert b"cookie" not in seen[1]


async def test_many_health_checks_send_few_requests_to_supabase(settings, frozen_time):
    seen = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while request := await reader.readuntil(b"\r\n\r\n"):
            seen += 1
            body = b"true" if b"/rpc/service_alive" in request else b'{"name":"GoTrue"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async with listening(count) as port, SupabaseHttp(pointed_at(settings, port)) as http:
        probe = Probe(http)
        assert all(await asyncio.gather(*(probe.up() for _ in range(100))))
        assert await probe.up()
        assert seen == 2  # one for Auth, one for the function
        frozen_time.tick(FRESH_SECONDS)
        before = seen
        assert await probe.up()
        assert seen > before


def test_newer_keys_are_never_sent_as_a_bearer():
    assert bearer("sb_secret_abc") == {"apikey": "sb_secret_abc"}
    assert bearer("eyJabc")["Authorization"] == "Bearer eyJabc"


async def test_every_registered_service_can_be_had(settings):
    from kernel.core.caller import ANONYMOUS, Caller
    from kernel.jobs.runs import Run
    from kernel.web import LiveClient
    from kernel.web.call import Call
    from kernel.web.cursor_pages import Cursors
    from kernel.web.precondition import Precondition

    async with Registry() as registry:
        limited = Feature(router=APIRouter(), limits=(Limit("5/hour", per="account"),))
        register_services(registry, settings, {"limited": limited})
        async with Container(registry) as container:
            call = Call(request_id="0" * 32, client_address="203.0.113.7", feature="limited")
            container.register_local_value(Call, call)
            container.register_local_value(Caller, ANONYMOUS)
            container.register_local_value(
                Run, Run(id=uuid4(), job="a.job", slice="a", attempt=1, request_id=None)
            )
            for kind in list(registry._services):
                assert await container.aget(kind) is not None
            # The application registers the first when it starts, because it needs the routes. A
            # request registers the others: it may have a precondition, read a list by cursors, or
            # follow live updates.
            offered = REQUEST_SERVICES | JOB_SERVICES
            for kind in offered - {CacheWarmer, Cursors, LiveClient, Precondition}:
                assert await container.aget(kind) is not None
