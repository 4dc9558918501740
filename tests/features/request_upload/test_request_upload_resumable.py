"""A resumable upload goes on after a kill, and no byte of it passes the API."""

import asyncio
import base64
import hashlib
import re
import sys
from pathlib import Path

import httpx
import pytest

PATCH = {"content-type": "application/offset+octet-stream"}
MEGABYTE = 1 << 20
SIZE = 100 * MEGABYTE
PIECE = bytes(range(256)) * 256  # 64 KiB
# A client that sends 30 MB of the content, says so, and is killed then.
CLIENT = """
import sys, time, httpx
url, token = sys.argv[1:]
def content():
    for _ in range(30 * 16):
        yield bytes(range(256)) * 256
    print("sent", flush=True)
    time.sleep(600)
headers = {"tus-resumable": "1.0.0", "x-signature": token, "upload-offset": "0",
           "content-type": "application/offset+octet-stream"}
httpx.patch(url, content=content(), headers=headers, timeout=60)
"""


@pytest.fixture
async def client():
    """A client without an access token."""
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


async def begin(client, upload, size):
    """Begin a resumable upload; return its URL and the headers of all requests."""
    resumable = upload["resumable"]
    pairs = (
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in resumable["metadata"].items()
    )
    tus = {"tus-resumable": "1.0.0", **resumable["headers"]}
    about = {"upload-length": str(size), "upload-metadata": ",".join(pairs)}
    begun = await client.post(resumable["url"], headers=tus | about)
    assert begun.status_code == 201, begun.text
    return begun.headers["location"], tus


async def test_a_resumable_upload_is_checked_next(author, client, read_file):
    new = {"name": "notes.txt", "content_type": "text/plain", "size": 5}
    upload = (await author.post("/files", json=new)).json()["data"]
    url, tus = await begin(client, upload, 5)
    for offset, part in ((0, b"No"), (2, b"tes")):
        assert (await read_file(upload["file"]["id"]))["state"] == "pending"
        headers = {**tus, **PATCH, "upload-offset": str(offset)}
        sent = await client.patch(url, content=part, headers=headers)
        assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(offset + len(part)))
    assert (await read_file(upload["file"]["id"]))["state"] == "checking"


async def test_a_resumable_upload_needs_the_signature_of_its_file(author, client, object_exists):
    new = {"name": "notes.txt", "content_type": "text/plain", "size": 5}
    first, second = [(await author.post("/files", json=new)).json()["data"] for _ in range(2)]
    url, _ = await begin(client, first, 5)
    headers = {"tus-resumable": "1.0.0", **PATCH, "upload-offset": "0"}
    for signature in ({}, {"x-signature": "x"}, second["resumable"]["headers"]):
        sent = await client.patch(url, content=b"Notes", headers=headers | signature)
        assert 400 <= sent.status_code < 500
    assert not await object_exists(first["file"]["id"])


def memory(process):
    """Return the memory of a process in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_100_megabytes_go_on_after_a_kill_and_the_api_s_memory_stays_flat(
    whole_system, client
):
    _, token = await whole_system.author()
    new = {"name": "large.bin", "content_type": "application/octet-stream", "size": SIZE}
    new["sha256"] = hashlib.sha256(PIECE * (SIZE // len(PIECE))).hexdigest()
    async with whole_system.api(API_WORKERS="1") as (process, api):
        api.headers["Authorization"] = f"Bearer {token}"
        small = await api.post("/files", json=new | {"size": 1, "sha256": None})
        assert small.status_code == 201, small.text
        before = memory(process)
        upload = (await api.post("/files", json=new)).json()["data"]
        url, tus = await begin(client, upload, SIZE)

        argv = (sys.executable, "-c", CLIENT, url, tus["x-signature"])
        sender = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        assert sender.stdout is not None
        said = await sender.stdout.readline()
        sender.kill()
        await sender.wait()
        assert said == b"sent\n"
        arrived = int((await client.head(url, headers=tus)).headers["upload-offset"])
        assert 10 * MEGABYTE < arrived <= 30 * MEGABYTE

        async def rest():
            position = arrived
            while position < SIZE:
                piece = PIECE[position % len(PIECE) :]
                yield piece
                position += len(piece)

        headers = {**tus, **PATCH, "upload-offset": str(arrived)}
        sent = await client.patch(url, content=rest(), headers=headers)
        assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(SIZE))
        found = await whole_system.fetch("select state from public.files where size = $1", SIZE)
        assert [row["state"] for row in found] == ["checking"]
        grown = memory(process) - before
    assert grown < 10 * MEGABYTE
    key = {"Authorization": f"Bearer {whole_system.gateway.config.service_key}"}
    stored = f"{whole_system.gateway.url}/storage/v1/object/files/{upload['file']['id']}"
    digest = hashlib.sha256()
    async with client.stream("GET", stored, headers=key) as answer:
        async for piece in answer.aiter_raw():
            digest.update(piece)
    assert digest.hexdigest() == new["sha256"]
    print(f"arrived at the kill: {arrived:,}; the API's memory grew by {grown:,}")  # noqa: T201
