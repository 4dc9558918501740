"""S3 with a real process: a refused request gets a response, a count and a log without secrets."""

import asyncio
import resource

import pytest

from kit.attacked import attacked
from kit.servers import Stack
from kit.waiting import until

SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "HEADER_TIMEOUT_SECONDS": "1",
    "BODY_TIMEOUT_SECONDS": "1",
    "ALLOWED_HOSTS": "127.0.0.1,*.example.com",
    "CORS_ORIGINS": "https://app.example.com",
}
HOST = b"Host: api.example.com\r\n"
LIVE = b"GET /api/v1/alive HTTP/1.1\r\n"
LOGIN = b"POST /api/v1/enter HTTP/1.1\r\nContent-Type: application/json\r\n"
SECRET = "hidden5ecret"
SECRETS = "".join(
    f"{name}: {prefix}{SECRET}\r\n"
    for name, prefix in [
        ("Cookie", "session="),
        ("Authorization", "Bearer "),
        ("apikey", "sb_secret_"),
        ("X-Api-Key", ""),
        ("Proxy-Authorization", "Basic "),
        ("X-Supabase-Auth", "Bearer "),
    ]
).encode()
QUERY = f"?token={SECRET}&password={SECRET}".encode()
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
PREFLIGHT = b"Access-Control-Request-Method: POST\r\nOrigin: https://%b\r\n"
OURS, EVIL = b"app.example.com", b"evil.example"
GUARDED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}

REFUSED = {
    "HEADERS_TOO_LARGE": (431, LIVE + HOST + b"x: y\r\n" * 100 + b"\r\n"),
    "URI_TOO_LONG": (414, b"GET /" + b"a" * 2048 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "BAD_REQUEST": (400, LIVE + HOST + HOST + b"\r\n"),
    "REQUEST_TIMEOUT": (408, LIVE + HOST),
    "HOST_NOT_ALLOWED": (400, b"GET /api/v1/things HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "CORS_REFUSED": (
        400,
        b"OPTIONS /api/v1/things HTTP/1.1\r\n" + HOST + PREFLIGHT % EVIL + b"\r\n",
    ),
    "BODY_TOO_LARGE": (413, LOGIN + HOST + b"Content-Length: 1310721\r\n\r\n"),
    "NOT_FOUND": (404, b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"),
    "METHOD_NOT_ALLOWED": (405, b"PUT /api/v1/things HTTP/1.1\r\n" + HOST + b"\r\n"),
    "UNAUTHENTICATED": (401, b"GET /api/v1/mine HTTP/1.1\r\n" + HOST + b"\r\n"),
    "VALIDATION_ERROR": (422, LOGIN + HOST + b"Content-Length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("code", REFUSED)
async def test_s3_what_is_refused_is_answered_in_the_envelope_and_logged(process, code):
    status, data = REFUSED[code]
    answer = await process.answer(data)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    number = answer.headers["x-request-id"]
    assert error["details"]["request_id"] == number
    assert answer.headers["cache-control"] == "no-store"
    assert GUARDED.items() <= dict(answer.headers).items()
    assert "server" not in answer.headers
    lines = await process.logged(number)
    (line,) = [line for line in lines if line["context"].get("request_id") == number]
    assert (line["message"], line["context"]["status"]) == ("request", status)


async def test_health_answers_under_any_name_since_probes_call_by_address(process):
    answer = await process.answer(LIVE + b"Host: 10.0.0.7:8000\r\n\r\n")
    assert answer.status_code == 200


async def test_s3_a_late_body_is_408_in_the_envelope(process):
    answer = await process.answer(LOGIN + HOST + b"Content-Length: 100\r\n\r\n{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "REQUEST_TIMEOUT")
    assert answer.headers["connection"] == "close"


async def test_s3_a_broken_body_is_400_in_the_envelope(process):
    answer = await process.answer(LOGIN + HOST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_s3_a_preflight_is_answered_logged_and_counted(process):
    before = await counted(process, "OPTIONS", 200)
    answer = await process.answer(
        b"OPTIONS /api/v1/things HTTP/1.1\r\n" + HOST + PREFLIGHT % OURS + b"\r\n"
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "POST" in answer.headers["access-control-allow-methods"]
    await process.logged(answer.headers["x-request-id"])
    await one_more(process, "OPTIONS", 200, before)


async def test_s3_an_answer_to_a_refused_preflight_lets_no_page_read_it(process):
    answer = await process.answer(REFUSED["CORS_REFUSED"][1])
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_s3_a_handshake_of_a_websocket_is_a_request_like_any_other(process):
    before = await counted(process, "GET", 404)
    answer = await process.answer(b"GET /ws HTTP/1.1\r\n" + HOST + HANDSHAKE + b"\r\n")
    assert answer.status_code == 404
    assert '"default"' in answer.headers["ratelimit"]
    await process.logged(answer.headers["x-request-id"])
    await one_more(process, "GET", 404, before)


async def test_s3_no_line_of_any_level_holds_a_cookie_a_token_a_key_or_a_query(process):
    beginning = len(process.printed)
    hostile = [
        b"GET %b HTTP/1.1\r\n" % target + host + SECRETS + more + b"\r\n"
        for target in (
            b"/api/v1/alive" + QUERY,
            b"/api/v1/things" + QUERY,
            b"/api/v1/mine" + QUERY,
            b"/nowhere" + QUERY,
            b"/nowhere%3F" + QUERY[1:],
            b"http://api.example.com/api/v1/things" + QUERY,
            b"/" + b"a" * 3000 + QUERY,
        )
        for host in (HOST, HOST * 2, b"Host: evil.example\r\n")
        for more in (b"", HANDSHAKE, b"x: y\r\n" * 100, b"Origin: https://evil.example\r\n")
    ]
    hostile += [
        b"OPTIONS /api/v1/things" + QUERY + b" HTTP/1.1\r\n" + HOST + SECRETS + PREFLIGHT % EVIL,
        b"GET /api/v1/things" + QUERY + b" HTTP/9.9\r\n" + HOST + SECRETS,
        b"GET /api/v1/things" + QUERY + b" HTTP/1.1\r\n" + HOST + SECRETS + b"a\x00b: c\r\n",
        b"GET /api/v1/things" + QUERY + b" HTTP/1.1\r\n" + HOST + SECRETS[:-2],  # incomplete
        LOGIN + HOST + SECRETS + b"Content-Length: 30\r\n\r\n" + SECRET.encode(),  # incomplete
        LOGIN.replace(b" HTTP", QUERY + b" HTTP")
        + HOST
        + SECRETS
        + b"Transfer-Encoding: chunked\r\n\r\nx",
        f"{SECRET} / HTTP/1.1\r\n\r\n".encode(),
    ]
    answers = await asyncio.gather(
        *(process.answer(data if b"\r\n\r\n" in data else data + b"\r\n") for data in hostile[:-4]),
        *(process.answer(data) for data in hostile[-4:]),
    )
    await process.logged(*(one.headers["x-request-id"] for one in answers))
    printed = process.printed[beginning:].decode()
    assert len(printed.splitlines()) >= len(hostile)
    assert SECRET not in printed
    assert SECRET.upper() not in printed.upper()


async def test_s3_headers_without_an_end_take_no_memory(process):
    before = process.memory
    _, writer = await process.send(LIVE + HOST)
    block, sent = b"".join(b"x%d: " % n + b"a" * 60_000 + b"\r\n" for n in range(16)), 0
    try:
        while sent < 200_000_000:
            writer.write(block)
            await writer.drain()
            sent += len(block)
    except ConnectionError:
        pass
    assert process.memory - before < 20_000_000
    writer.transport.abort()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/docs",
            "/openapi.json",
            "/api/v1/things",
            "/api/v1/motto",
            "/api/v1/alive",
        )
    ],
)
async def test_every_answer_has_the_headers_of_security(process, path):
    async with process.client() as client:
        for headers in ({}, {"If-None-Match": "*"}, {"Origin": "https://app.example.com"}):
            answer = await client.get(path, headers=headers)
            assert answer.status_code in {200, 304}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors" in answer.headers["content-security-policy"]
            assert len(answer.headers.get_list("content-security-policy")) == 1
            assert "server" not in answer.headers
            assert "strict-transport-security" not in answer.headers


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", LIVE, LOGIN + HOST + b"Content-Length: 100\r\n\r\n{"])
async def test_s3_1100_connections_at_1024_descriptors_keep_no_honest_client_out(
    stack: Stack, data
):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # the process inherits it
    try:
        running = attacked(stack)
        process = await running.__aenter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    try:
        opened = await asyncio.gather(*(process.send(data) for _ in range(1100)))
        slowest = 0.0
        loop = asyncio.get_running_loop()
        for _ in range(30):
            started = loop.time()
            answer = await process.answer(LIVE + HOST + b"\r\n", seconds=10)
            slowest = max(slowest, loop.time() - started)
            assert answer.status_code == 200
        assert slowest < 5
        lines = [line["message"] for line in await process.logged("MAX_CONNECTIONS")]
        assert sum("MAX_CONNECTIONS" in line for line in lines) == 1
        for _, writer in opened:
            writer.transport.abort()
    finally:
        await running.__aexit__(None, None, None)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def counted(process, method: str, status: int) -> float:
    """Return how many requests without a slice are counted."""
    found = await process.metrics()
    return found.total("http_requests_total", slice="none", method=method, status=status)


async def one_more(process, method: str, status: int, before: float) -> None:
    """Wait until one request more is counted: that is after its response."""

    async def found():
        return await counted(process, method, status) == before + 1

    await until(found)
