"""S3: everything below HTTP has a bound: bytes, lines, times and connections."""

import asyncio
import logging
from ipaddress import ip_network

import pytest

from kernel.boot.connections import Bounds
from kernel.boot.protocol import ServerProtocol
from kernel.edge.client_address import ClientAddresses
from kernel.errors import ApiError
from kernel.web.call import REFUSED
from kit.serving import serving
from kit.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
WHOLE = GET + b"\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
SOON = Bounds(keep_alive_seconds=1, header_seconds=1, body_seconds=1, write_seconds=1)


async def app(scope, receive, send):
    """Respond with the length of the body, or with the refusal."""
    refused, length, more = scope.get(REFUSED), 0, scope["method"] == "POST"
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length += len(message["body"])
            more = message["more_body"]
    except ApiError as error:
        refused = error
    status = refused.status if refused else 200
    body = b"%s %d" % (scope["method"].encode(), length)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def status_of(data: bytes, bounds: Bounds | None = None) -> bytes:
    """Return the status of the last response, once the server has closed the connection."""
    async with serving(app, bounds) as server:
        answer = await server.answer(data)
    return answer.rpartition(b"HTTP/1.1 ")[2][:3] if answer else b""


async def closes_after(reader: asyncio.StreamReader) -> float:
    """Return the seconds until the server closes a connection."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(20):
        while await reader.read(65536):
            pass
    return loop.time() - started


def lines(number: int) -> bytes:
    return b"".join(b"x%d: y\r\n" % one for one in range(number))


def header_of(length: int) -> bytes:
    """Return a header that fills the allowed size: `length`, together with 9 bytes of Host."""
    return b"x: " + b"y" * (length - 9 - 5) + b"\r\n"


# Bytes and lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (GET + lines(99), b"200"),
        (GET + lines(100), b"431"),
        (GET + header_of(32 * 1024), b"200"),
        (GET + header_of(32 * 1024 + 1), b"431"),
        (GET + b'If-None-Match: "x"\r\n' * 80_000, b"431"),
        (b"GET /?" + b"q" * (8 * 1024 - 2) + b" HTTP/1.1\r\nHost: x\r\n", b"200"),
        (b"GET /?" + b"q" * (8 * 1024 - 1) + b" HTTP/1.1\r\nHost: x\r\n", b"414"),
        (b"GET /" + b"q" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n", b"414"),
    ],
)
async def test_s3_what_a_head_holds_is_bounded(head, status):
    async with serving(app) as server:
        reader, writer = await server.send(head + b"\r\n")
        answer = await asyncio.wait_for(reader.read(12), 10)
        writer.transport.abort()
    assert answer[9:] == status


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (GET + b"x: ", b"y" * 10_000),  # one endless line
        (GET, b"x: y\r\n" * 1000),
        (b"GET /", b"y" * 10_000),
        (b"G", b"E" * 10_000),
        (GET + b"x", b"x" * 10_000),  # an endless name
    ],
)
async def test_s3_a_head_without_an_end_is_not_kept(begin, part):
    async with serving(app) as server:
        reader, writer = await server.send(begin)
        sent = 0
        try:
            async with asyncio.timeout(10):
                while not reader._buffer and sent < 20_000_000:  # type: ignore[attr-defined]
                    writer.write(part)
                    await writer.drain()
                    sent += len(part)
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert (await reader.read(12))[9:12] in {b"431", b"414", b"400"}
        assert sent < 5_000_000
        writer.transport.abort()


@pytest.mark.parametrize("part", [b"x: y\r\n" * 1000, b"x" * 6000])
async def test_s3_trailers_are_bounded_and_do_not_become_headers(part):
    seen = []

    async def keeps(scope, receive, send):
        seen.append(scope["headers"])
        await app(scope, receive, send)

    chunk = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    async with serving(keeps) as server:
        reader, writer = await server.send(chunk + b"Authorization: Bearer late\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"POST 1"), 5)
        writer.write(chunk)
        sent = 0
        try:
            async with asyncio.timeout(10):
                while not reader._buffer and sent < 20_000_000:  # type: ignore[attr-defined]
                    writer.write(part)
                    await writer.drain()
                    sent += len(part)
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
        assert sent < 5_000_000
    assert not [name for headers in seen for name, _ in headers if name == b"authorization"]


async def test_s3_bytes_after_waiting_requests_are_not_buffered():
    """Each processed request would free space for more: 256 KB per request."""
    async with serving(app) as server:
        _, writer = await server.send(WHOLE * 500)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # so that the responses fill all buffers
        sent = 0
        try:
            async with asyncio.timeout(3):
                while True:
                    writer.write(WHOLE * 5000)
                    await writer.drain()
                    sent += len(WHOLE) * 5000
        except TimeoutError:
            pass
        (connection,) = server.connections._open
        assert isinstance(connection, ServerProtocol)
        assert len(connection._later) <= 1_000_000


# Preludes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS
        b"NONSENSE\r\n\r\n",
        b"\x00" * 100,
        b"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        GET + b"x: a\x00b\r\n\r\n",
        GET + b"a b: c\r\n\r\n",
        WHOLE + b"nonsense\r\n\r\n",  # after a valid request
    ],
)
async def test_s3_what_is_no_http_1_is_400_and_the_end(data):
    assert await status_of(data) == b"400"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_s3_http_1_is_served(version):
    head = b"GET / HTTP/" + version + b"\r\n"
    if version == b"1.1":
        head += b"Host: x\r\n"
    assert await status_of(head + b"Connection: close\r\n\r\n") == b"200"


async def test_s3_nothing_behind_a_refused_request_is_answered():
    async with serving(app) as server:
        answer = await server.answer(GET + lines(101) + b"\r\n" + WHOLE * 3)
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_s3_an_upgrade_is_answered_as_a_plain_request_and_once(version):
    seen = []

    async def keeps(scope, receive, send):
        seen.append(scope["http_version"])
        await app(scope, receive, send)

    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    async with serving(keeps) as server:
        assert b" 200 " in await server.answer(GET.replace(b"1.1", version) + upgrade)
    assert seen == [version.decode()]


async def test_s3_an_upgrade_is_answered_as_a_plain_request_and_so_is_the_next():
    upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n"
    body = POST + upgrade % b"h2c" + b"Content-Length: 3\r\n\r\nabc"
    close = GET + b"Connection: close\r\n\r\n"
    async with serving(app) as server:
        answer = await server.answer(GET + upgrade % b"websocket" + b"\r\n" + body + close)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"POST 3" in answer


# Times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", b""),
        (b"GET / HT", b"408"),
        (GET, b"408"),
        (GET + b"x: y", b"408"),
        (WHOLE + GET, b"408"),  # the second request of a connection
        (POST + b"Content-Length: 100\r\n\r\n", b"408"),
        (POST + b"Content-Length: 100\r\n\r\nabc", b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"408"),
        (WHOLE, b"200"),  # then the connection is idle
    ],
)
async def test_s3_a_stalled_request_ends_the_connection(data, status):
    async with serving(app, SOON) as server:
        reader, writer = await server.send(data)
        async with asyncio.timeout(8):
            answer = await reader.read()
        writer.close()
        await until(lambda: not len(server.connections))
    assert answer.rpartition(b"HTTP/1.1 ")[2][:3] == status


@pytest.mark.parametrize("begin", [b"", POST + b"Content-Length: 100\r\n\r\n"])
async def test_s3_single_bytes_do_not_extend_a_deadline(begin):
    async with serving(app, SOON) as server:
        reader, writer = await server.send(begin)

        async def drip() -> None:
            for byte in GET * 100:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert await closes_after(reader) < 5
        dripping.cancel()
        writer.close()


async def test_s3_a_connection_does_not_wait_for_a_body_after_the_response():
    async def refuses(scope, receive, send):
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with serving(refuses, SOON) as server:
        reader, writer = await server.send(POST + b"Content-Length: 100\r\n\r\n")
        assert await closes_after(reader) < 5
        writer.close()


async def test_s3_a_client_that_never_reads_is_dropped_and_a_slow_reader_is_not():
    size = 30_000_000  # more than the buffers of the system hold

    async def large(scope, receive, send):
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    async with serving(large, Bounds(write_seconds=2)) as server:
        loop = asyncio.get_running_loop()
        _, never = await server.send(WHOLE)
        never.transport.pause_reading()  # type: ignore[attr-defined]
        reader, slowly = await server.send(WHOLE)
        got, last = 0, loop.time()
        while got < size:
            part = await reader.read(200_000)
            assert part
            got += len(part)
            if loop.time() - last < 5:
                await asyncio.sleep(0.05)
        assert loop.time() - last > 4  # longer than a client may read nothing
        await until(lambda: len(server.connections) == 1)
        for writer in (never, slowly):
            writer.transport.abort()


async def test_s3_a_connection_that_is_to_be_closed_does_not_wait_for_a_reader_for_ever():
    async def large(scope, receive, send):
        headers = [(b"content-length", b"30000000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})

    async with serving(large, SOON) as server:
        _, writer = await server.send(WHOLE)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(server.connections))
        await until(lambda: not len(server.connections))
        writer.transport.abort()


async def test_s3_a_slow_application_loses_no_client():
    async def slow(scope, receive, send):
        await asyncio.sleep(2.5)
        await app(scope, receive, send)

    async with serving(slow, SOON) as server:
        answer = await server.answer(GET + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        # A client that has begun to send its next request is not lost either.
        reader, writer = await server.send(WHOLE + GET)
        assert (await reader.read(12)).startswith(b"HTTP/1.1 200")
        writer.write(b"Connection: close\r\n\r\n")
        assert b"HTTP/1.1 200" in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_s3_a_connection_between_two_requests_stays_for_75_seconds_by_default():
    assert Bounds().keep_alive_seconds == 75
    async with serving(app, Bounds(header_seconds=0.5, keep_alive_seconds=60)) as server:
        reader, writer = await server.send(WHOLE)
        await reader.readuntil(b"GET 0")
        await asyncio.sleep(2)
        writer.write(WHOLE)
        assert await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
        writer.close()


# Connections ---------------------------------------------------------------------------------


async def test_s3_many_requests_of_one_write_keep_nobody_waiting():
    async with serving(app) as server:
        reader, writer = await server.send(WHOLE * 5000)
        other, others = await server.connect()
        loop = asyncio.get_running_loop()
        waited = []
        for _ in range(5):
            started = loop.time()
            others.write(WHOLE)
            await other.readuntil(b"GET 0")
            waited.append(loop.time() - started)
        for _ in range(5000):
            await asyncio.wait_for(reader.readuntil(b"GET 0"), 10)
        for one in (writer, others):
            one.close()
    assert min(waited) < 0.5


async def test_s3_silent_connections_make_room_for_requests(caplog):
    async with serving(app, Bounds(connections=20)) as server:
        with caplog.at_level(logging.WARNING, logger="kernel.boot.connections"):
            silent = [await server.connect() for _ in range(30)]
            half = [await server.send(GET) for _ in range(30)]
            for _ in range(30):
                reader, writer = await server.send(WHOLE)
                assert await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
                writer.close()
        assert len(server.connections) <= 20
        for _, writer in silent + half:
            writer.transport.abort()
    (record,) = [one for one in caplog.records if "MAX_CONNECTIONS" in one.getMessage()]
    assert "(20)" in record.getMessage()


async def test_s3_old_silent_connections_go_before_those_that_are_used():
    async with serving(app, Bounds(connections=10)) as server:
        used = [await server.send(WHOLE) for _ in range(5)]
        for reader, _ in used:
            await reader.readuntil(b"GET 0")
        silent = [await server.connect() for _ in range(5)]
        await until(lambda: len(server.connections) == 10)
        await asyncio.sleep(1.2)  # after a second they no longer count as about to send
        more = [await server.send(WHOLE) for _ in range(5)]
        for reader, _ in more:
            assert await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
        for reader, writer in used:
            writer.write(WHOLE)
            assert await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
        for reader, _ in silent:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, writer in used + silent + more:
            writer.transport.abort()


async def test_s3_busy_connections_are_never_closed_and_one_too_many_gets_503():
    done = asyncio.Event()

    async def waits(scope, receive, send):
        while not done.is_set():
            await asyncio.sleep(0.05)
        await app(scope, receive, send)

    async with serving(waits, Bounds(connections=5)) as server:
        busy = [await server.send(WHOLE) for _ in range(5)]
        await until(lambda: len(server.connections) == 5)
        await asyncio.sleep(0.2)
        answer = await server.answer(b"")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"code":"TOO_MANY_CONNECTIONS"' in answer
        done.set()
        for reader, writer in busy:
            assert await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
            writer.close()


@pytest.mark.parametrize("trusted", [False, True])
async def test_s3_one_client_has_a_limit_where_it_is_set_and_a_trusted_proxy_never(trusted):
    clients = ClientAddresses([ip_network("127.0.0.0/8")] if trusted else [])
    async with serving(app, Bounds(per_client=3), clients) as server:
        opened = [await server.send(WHOLE) for _ in range(3)]
        for reader, _ in opened:
            await asyncio.wait_for(reader.readuntil(b"GET 0"), 5)
        reader, writer = await server.send(WHOLE)
        assert (await asyncio.wait_for(reader.read(12), 5))[9:] == (b"200" if trusted else b"503")
        opened[0][1].close()
        await until(lambda: len(server.connections) <= 2 + trusted)
        again, another = await server.send(WHOLE)
        assert (await asyncio.wait_for(again.read(12), 5))[9:] == b"200"
        for one in (writer, another, *(one for _, one in opened)):
            one.transport.abort()


async def test_s3_there_is_no_limit_for_one_client_by_default():
    assert Bounds().per_client is None
