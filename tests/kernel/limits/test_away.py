"""R5: while Redis is unavailable, each process limits locally, and nothing else breaks."""

import asyncio
import contextlib
from collections import Counter

import pytest

from kernel.boot.app import create_app
from kit.application import SLICES, running
from kit.people import new_email
from kit.small import changed
from kit.waiting import many

ADDRESS = "203.0.113.9"
FALLBACK = 30


@contextlib.asynccontextmanager
async def answering(reply: bytes | None):
    """A server in place of Redis: it sends this reply to each chunk, or never replies."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                if reply is not None:
                    writer.write(reply)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()


@pytest.fixture(params=["refused", "silent", "error"])
async def redis_port(request, unused_tcp_port):
    if request.param == "refused":
        yield unused_tcp_port
        return
    reply = b"-LOADING Redis is loading the dataset in memory\r\n" * 20
    async with answering(reply if request.param == "error" else None) as port:
        yield port


async def test_r5_a_thousand_logins_from_one_address_are_few_and_the_rest_works(
    settings, redis_port, author, thing
):
    app = create_app(
        changed(settings, redis_port=redis_port, rate_limit_fallback=f"{FALLBACK}/minute"), SLICES
    )
    async with (
        running(app) as client_for,
        client_for(address=ADDRESS) as client,
        client_for(author.token, address=ADDRESS) as signed_in,
    ):

        async def guess() -> int:
            body = {"email": new_email(), "password": "wrong horse 9"}
            return (await client.post("/enter", json=body)).status_code

        statuses = Counter(await many(1000, guess))
        # 503: an admitted login that a busy machine did not finish before its deadline.
        assert {429} < set(statuses) <= {401, 429, 503}
        assert statuses[401] + statuses[503] <= 10 <= 2 * FALLBACK  # its own limit does not change
        for path in ("/things", f"/things/{thing.id}", "/mine", "/alive/ready"):
            answer = await signed_in.get(path)
            assert answer.status_code == 200
        assert '"default";q=30;w=60' in (await client.get("/things")).headers["ratelimit-policy"]


async def test_r5_the_default_falls_back_to_its_own_number(settings, unused_tcp_port):
    app = create_app(
        changed(settings, redis_port=unused_tcp_port, rate_limit_fallback=f"{FALLBACK}/minute"),
        SLICES,
    )
    async with running(app) as client_for, client_for(address=ADDRESS) as client:
        statuses = Counter([(await client.get("/nowhere")).status_code for _ in range(100)])
    assert statuses == {404: FALLBACK, 429: 100 - FALLBACK}
