"""Traces, as a collector receives them from the API; the whole chain is in tests/chaos."""

import logging
import subprocess
import sys
import textwrap
from ipaddress import ip_network

import pytest
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.core import traces
from kernel.core.traces import OFF, traces_to
from kernel.edge.edge import Edge
from kit.application import SLICES, running
from kit.collector import collecting
from kit.process import PYTHONPATH, ROOT
from kit.waiting import until

PROXY = "203.0.113.80"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
SERVER, CLIENT = 2, 3


def traced(settings, collector, **changes):
    """The settings with traces on."""
    url = collector if isinstance(collector, str) else collector.url
    changes |= {"otel_exporter_otlp_endpoint": url, "trusted_proxies": [ip_network(f"{PROXY}/32")]}
    return settings.model_validate(settings.model_dump() | changes)


async def spans_of(settings, call, slices=SLICES):
    """What one block of calls exports; all of it has arrived when the application has ended."""
    with collecting() as collector:
        async with running(create_app(traced(settings, collector), slices)) as client_for:
            await call(client_for)
        return collector


async def test_a_request_and_its_calls_of_supabase_are_one_trace(settings, author):
    async def call(client_for):
        async with client_for(author.token) as client:
            answer = await client.post("/things?x=1", json={"title": "Told", "content": ""})
            assert answer.status_code == 201

    collector = await spans_of(settings, call)
    (request,) = collector.named("write_thing")
    (insert,) = collector.named("supabase rest/things")
    assert (request.service, request.kind, request.parent_id) == ("api", SERVER, "")
    assert (insert.kind, insert.parent_id) == (CLIENT, request.span_id)
    assert insert.trace_id == request.trace_id
    assert insert.attributes == {"http.request.method": "POST", "http.response.status_code": 201}
    assert request.attributes.pop("request_id")
    assert request.attributes == {
        "slice": "write_thing",
        "http.request.method": "POST",
        "http.route": "/api/v1/things",
        "http.response.status_code": 201,
    }


async def test_the_event_of_a_write_continues_its_trace(settings, author, database):
    ids = []

    async def call(client_for):
        async with client_for(author.token) as client:
            answer = await client.post("/things", json={"title": "Told", "content": ""})
            ids.append(answer.json()["data"]["id"])

    collector = await spans_of(settings, call)
    (insert,) = collector.named("supabase rest/things")
    stored = await database.fetchval(
        "select traceparent from outbox.events where strpos(items::text, $1) > 0 "
        "and topic = 'thing_changed'",
        ids[0],
    )
    assert stored.startswith(f"00-{insert.trace_id}-{insert.span_id}-")


@pytest.mark.parametrize(("address", "trace"), [(PROXY, TRACE), ("198.51.100.7", None)])
async def test_a_callers_trace_is_continued_behind_trusted_proxies_alone(settings, address, trace):
    async def call(client_for):
        async with client_for(address=address) as client:
            await client.get("/motto", headers=SENT)
            await client.head("/motto", headers=SENT)

    collector = await spans_of(settings, call)
    first, second = collector.named("read_motto")
    for one in (first, second):
        assert (one.trace_id == TRACE, one.parent_id == SPAN) == (bool(trace), bool(trace))


@pytest.mark.parametrize("sent", ["", "00-zz-1-01", "\xff", "00-" + "0" * 32 + f"-{SPAN}-01"])
async def test_a_traceparent_that_is_none_begins_a_trace(settings, sent):
    async def call(client_for):
        async with client_for(address=PROXY) as client:
            headers = {"traceparent": sent.encode("latin-1")}
            assert (await client.get("/motto", headers=headers)).status_code == 200

    (span,) = (await spans_of(settings, call)).named("read_motto")
    assert span.parent_id == ""


async def test_s13_a_trace_holds_nothing_of_the_user(settings, author):
    async def call(client_for):
        async with client_for(author.token) as client:
            for path in (f"/people/{author.id}?secret=hidden", "/mine", f"/no/{author.email}"):
                await client.get(path)
            title = {"title": "hidden title", "content": author.email, "hidden": 1}
            await client.post("/things", json=title)

    collector = await spans_of(settings, call)
    assert len(collector.spans) >= 4
    exported = b"".join(collector.bodies)
    for secret in (author.token, author.email, str(author.id), author.id.hex, "hidden"):
        assert secret.encode() not in exported


async def test_an_unexpected_error_is_marked_without_its_text(settings):
    router = APIRouter()

    @router.get("/boom")
    async def boom() -> None:
        raise RuntimeError("token=hidden")

    async def call(client_for):
        async with client_for() as client:
            assert (await client.get("/boom")).status_code == 500

    slices = {"small": Feature(router=router, caller="ignored")}
    collector = await spans_of(settings, call, slices)
    (span,) = collector.named("small")
    assert (span.failed, span.attributes["error.type"], span.events) == (True, "500", 0)
    assert b"hidden" not in b"".join(collector.bodies)


async def test_probes_and_metrics_have_no_span(settings):
    async def call(client_for):
        async with client_for() as client:
            await client.get("http://api.test/metrics")
            await client.get("/alive")
            await client.get("/nowhere")

    collector = await spans_of(settings, call)
    assert {one.name for one in collector.spans} <= {"no slice", "alive", "supabase rest/rpc/alive"}
    assert collector.named("no slice")


async def test_a_collector_that_is_away_fails_nothing_and_is_one_line(
    settings, author, monkeypatch
):
    written: list[logging.LogRecord] = []
    monkeypatch.setattr(traces._SELDOM, "_next", 0.0)
    app = create_app(traced(settings, "http://127.0.0.1:1"), SLICES)
    exporter = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")

    def keep(record: logging.LogRecord) -> None:
        if exporter.filter(record):
            written.append(record)

    monkeypatch.setattr(exporter, "handle", keep)
    async with running(app) as client_for, client_for(author.token) as client:

        async def lines():
            assert (await client.get("/motto")).status_code == 200
            return written

        await until(lines)
        assert len(await lines()) == 1


async def test_without_an_endpoint_nothing_of_it_is_there(settings):
    app = create_app(settings, SLICES)
    async with running(app):
        assert isinstance(app.front, Edge)
    assert traces_to(None, application="a", process="api") is OFF
    with OFF.span("a", "server") as span, OFF.child("b", "client") as below:
        assert (span.traceparent, below.traceparent) == (None, None)


def test_without_an_endpoint_the_exporter_is_not_even_loaded():
    program = """
        import sys
        import kernel.boot.app, kernel.boot.processes
        assert not [name for name in sys.modules if name.startswith("opentelemetry.exporter")]
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        env={"PYTHONPATH": PYTHONPATH},
        check=True,
    )
