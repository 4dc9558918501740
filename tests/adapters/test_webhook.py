"""The adapter `webhook` with a real server on this machine."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from adapters.webhook import Webhook, WebhookSettings, WebhookUnavailable
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.errors import Permanent
from kernel.events import Event
from kit.application import running

KEY = b"k" * 32
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class OrderPaid(Event):
    order_id: UUID


@pytest.fixture
async def server():
    """Starts servers that respond with one status, or never (None); and holds their requests."""
    requests: list[tuple[bytes, dict[bytes, bytes], bytes]] = []
    async with contextlib.AsyncExitStack() as stack:

        async def start(status: int | None) -> str:
            async def answer(reader, writer):
                head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                headers = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers.get(b"content-length", 0)))
                requests.append((head[0], headers, body))
                if status is None:
                    await reader.read()
                else:
                    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
                    await writer.drain()
                writer.close()

            started = await asyncio.start_server(answer, "127.0.0.1", 0)
            stack.push_async_callback(started.wait_closed)
            stack.callback(started.close)
            return f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}/hook"

        yield start, requests


@contextlib.asynccontextmanager
async def webhook(url: str | None, *, secret: str | None = None, deadline: float = 5.0):
    settings = WebhookSettings.model_validate({"url": url, "secret": secret})
    async with contextlib.aclosing(Webhook(settings, deadline)) as client:
        yield client


async def test_an_event_is_posted_and_signed_by_standard_webhooks(server):
    start, seen = server
    event, message_id = OrderPaid(order_id=uuid4()), uuid4()
    async with webhook(await start(204), secret=SECRET) as client:
        await client.post(event, message_id=message_id)
    ((line, headers, body),) = seen
    assert line == b"POST /hook HTTP/1.1"
    assert json.loads(body) == {"type": "order_paid", "data": {"order_id": str(event.order_id)}}
    assert headers[b"webhook-id"].decode() == str(message_id)
    content = b"%s.%s.%s" % (headers[b"webhook-id"], headers[b"webhook-timestamp"], body)
    signature = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest())
    # The server above converts headers to lower case.
    assert headers[b"webhook-signature"] == (b"v1," + signature).lower()


async def test_nothing_is_sent_where_no_address_is_set(server):
    _start, seen = server
    async with webhook(None) as client:
        await client.post(OrderPaid(order_id=uuid4()), message_id=uuid4())
        assert await client.up() is None
    assert seen == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, WebhookUnavailable), (429, WebhookUnavailable), (400, Permanent), (410, Permanent)],
)
async def test_a_refusal_says_whether_a_repetition_may_help(server, status, error):
    start, _seen = server
    async with webhook(await start(status)) as client:
        with pytest.raises(error):
            await client.post(OrderPaid(order_id=uuid4()), message_id=uuid4())


async def test_a_server_that_never_answers_costs_the_deadline(server):
    start, _seen = server
    async with webhook(await start(None), deadline=0.2) as client:
        async with asyncio.timeout(3):
            with pytest.raises(WebhookUnavailable):
                await client.post(OrderPaid(order_id=uuid4()), message_id=uuid4())
            assert await client.up() is False


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", f"whsec_{'*' * 40}"])
def test_a_secret_that_is_too_short_or_malformed_is_refused(secret):
    with pytest.raises(ValidationError) as raised:
        WebhookSettings.model_validate({"secret": secret})
    assert secret not in str(raised.value)


@pytest.mark.skipif("health" not in discover(), reason="the slice health was removed")
@pytest.mark.parametrize(
    ("status", "state", "whole"), [(405, "up", "healthy"), (503, "down", "degraded")]
)
async def test_health_says_whether_the_other_system_answers(
    settings, monkeypatch, server, status, state, whole
):
    start, seen = server
    monkeypatch.setenv("WEBHOOK_URL", await start(status))
    async with running(create_app(settings, discover())) as client_for, client_for() as client:
        for _ in range(5):
            health = (await client.get("/health")).json()["data"]
            assert health == {
                "status": whole, "redis": "up", "supabase": "up", "adapters": {"webhook": state}
            }  # fmt: skip
    # Frequent health calls do not send frequent requests to the other system.
    assert len(seen) == 1
