"""The shipped proxy: the real program with the real configuration, over TLS."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from kit import manifests
from kit.front import FORWARDING_HEADERS, INVENTED_ADDRESS
from kit.manifests import Cluster
from kit.proxy import FOLDER as PROXY
from kit.proxy import HAPROXY, WHY_NOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAPROXY, reason=WHY_NOT)]


@pytest.fixture
async def echo():
    """A server that responds with the received head, and echoes after an upgrade."""

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if "\r\nupgrade:" in head.lower():
                    writer.write(
                        b"HTTP/1.1 101 Switching Protocols\r\n"
                        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                    )
                    while said := await reader.read(100):
                        writer.write(said.upper())
                body = json.dumps(head.split("\r\n")).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("servers", ["servers.cfg", "kubernetes.cfg"])
def test_the_shipped_files_are_valid(tls, servers):
    done = subprocess.run(
        [HAPROXY, "-c", "-f", PROXY / "haproxy.cfg", "-f", PROXY / servers],
        env={"PROXY_CERTIFICATE": str(tls[0]), "PROXY_API": "api.application.svc.cluster.local"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.skipif(bool(why := manifests.why_not()), reason=why or "")
def test_the_key_may_lie_beside_the_chain_as_kubernetes_mounts_it(tls, tmp_path):
    pod = Cluster.of("production").pods["proxy"]["spec"]
    (secret,) = [one["secret"] for one in pod["volumes"] if "secret" in one]
    sources = {"tls.crt": tmp_path / "certificate.pem", "tls.key": tmp_path / "key.pem"}
    for item in secret["items"]:
        (tmp_path / "mounted").mkdir(exist_ok=True)
        shutil.copy(sources[item["key"]], tmp_path / "mounted" / item["path"])
    variables = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    mounted = tmp_path / "mounted" / Path(variables["PROXY_CERTIFICATE"]).name
    files = (PROXY / "haproxy.cfg", PROXY / "kubernetes.cfg")
    command = [HAPROXY, "-c", *(word for file in files for word in ("-f", str(file)))]
    environment = {"PROXY_CERTIFICATE": str(mounted), "PROXY_API": "api.example.com"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_http_leads_to_https(proxy, echo):
    async with proxy.before(echo), httpx.AsyncClient() as plain:
        answer = await plain.get(f"http://127.0.0.1:{proxy.http}/api/v1/posts")
    assert answer.status_code == 308
    assert answer.headers["location"].startswith("https://")


async def test_what_a_client_says_of_its_address_is_not_passed_on(proxy, echo):
    invented = {
        name: INVENTED_ADDRESS for name in FORWARDING_HEADERS if name.startswith(("X", "F"))
    }
    invented |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    async with proxy.before(echo) as client:
        head = (await client.get("/", headers=invented)).json()
    text = "\n".join(head).lower()
    assert INVENTED_ADDRESS not in text
    assert "evil.example" not in text
    assert [line for line in head if line.lower().startswith("x-forwarded-")] == [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: https",
    ]


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics?a=1", "/metrics/", "//metrics", "/%6detrics", "/%6D%65trics/x"],
)
async def test_metrics_are_not_routed_however_the_path_is_written(proxy, echo, path):
    async with proxy.before(echo) as client:
        reader, writer = await proxy.connect()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"404"
        writer.close()
        assert (await client.get("/metricsx")).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/" + "a" * 8191, {}, 200),
        ("/" + "a" * 8192, {}, 414),
        ("/", {"X-Long": "a" * 32_000}, 200),
        ("/", {"X-Long": "a" * 32_768}, 431),
        ("/", {"X-Long": "a" * 200_000}, 400),
        ("/", {"Content-Length": "1310721"}, 413),
    ],
)
async def test_the_bounds_are_those_of_the_api(proxy, echo, path, headers, status):
    async with proxy.before(echo):
        reader, writer = await proxy.connect()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        first = await reader.readline()
        writer.close()
    assert first.split()[1] == str(status).encode(), first


async def test_a_head_that_does_not_come_to_its_end_is_408(proxy, echo):
    async with proxy.before(echo):
        reader, writer = await proxy.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(15):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_one_address_has_a_bounded_number_of_connections(proxy, echo):
    async with proxy.before(echo, PROXY_CONNECTIONS_PER_CLIENT="5"):
        tried = [await asyncio.gather(proxy.connect(), return_exceptions=True) for _ in range(7)]
    refused = [one for (one,) in tried if isinstance(one, OSError)]
    opened = [one for (one,) in tried if not isinstance(one, BaseException)]
    for _, writer in opened:
        writer.close()
    assert 3 <= len(opened) <= 5
    assert len(refused) == 7 - len(opened)


async def test_a_websocket_passes(proxy, echo):
    async with proxy.before(echo):
        reader, writer = await proxy.connect()
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.close()
