"""The HTTP protocol class that sends head and body of a response in one system call."""

import asyncio

from kit.serving import serving

HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"5")],
}


async def plain(scope, receive, send):
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"whole"})


async def in_parts(scope, receive, send):
    await send({**HEAD, "headers": []})
    for part in (b"first", b"second"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def failing(scope, receive, send):
    await send(HEAD)
    raise RuntimeError("after the head")


async def asked(server, request=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
    return await server.send(request)


async def test_head_and_body_come_together():
    async with serving(plain) as server:
        reader, writer = await asked(server)
        first = await reader.read(65536)
        writer.close()
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert first.endswith(b"\r\n\r\nwhole")


async def test_a_connection_that_is_to_be_closed_gets_all_of_the_answer():
    async with serving(plain) as server:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        reader, writer = await asked(server, request)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.endswith(b"\r\n\r\nwhole")


async def test_several_requests_of_one_write_are_answered_in_their_order():
    async with serving(plain) as server:
        reader, writer = await asked(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        for _ in range(3):
            assert await asyncio.wait_for(reader.readuntil(b"whole"), 5)
        writer.close()


async def test_an_answer_in_parts_arrives_in_parts_and_whole():
    async with serving(in_parts) as server:
        reader, writer = await asked(server)
        answer = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        writer.close()
    assert answer.endswith(b"\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")


async def test_a_response_that_breaks_off_and_clients_that_leave_do_not_affect_others():
    async with serving(failing) as server:
        reader, writer = await asked(server)
        await asyncio.wait_for(reader.read(), 5)  # until the server has closed the connection
        writer.close()
        for _ in range(20):
            _, gone = await asked(server)
            gone.transport.abort()
        reader, writer = await asked(server)
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
