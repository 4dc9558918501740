"""One trace from a request to the job that it leads to, through real processes."""

import pytest

from kit.collector import collecting
from kit.waiting import until

pytestmark = pytest.mark.slow
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_a_request_its_event_and_its_job_are_one_trace(system):
    with collecting() as collector:
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TRUSTED_PROXIES": "127.0.0.1/32"}
        _, token = await system.author()
        await system.start("relay", **on)
        worker = await system.start("worker", **on)
        async with system.api(**on) as (_, client):
            answer = await client.post(
                "/things",
                json={"title": "A wish", "content": '{"fail": 1}', "published": True},
                headers={
                    "Authorization": f"Bearer {token}",
                    "traceparent": f"00-{TRACE}-{SPAN}-01",
                },
            )
        assert answer.status_code == 201
        job = "act_on_thing.act"

        # Each process sends on its own, in any order; the job fails once.
        def whole():
            others = ("write_thing", "relay thing_published")
            return len(collector.named(job, TRACE)) == 2 and all(
                collector.named(name, TRACE) for name in others
            )

        await until(whole)

        def one(name):
            (found,) = collector.named(name, TRACE)
            return found

        request = one("write_thing")
        calls = collector.named("supabase rest/things", TRACE)
        (insert,) = (span for span in calls if span.parent_id == request.span_id)
        relay = one("relay thing_published")
        first, second = sorted(
            collector.named(job, TRACE), key=lambda span: int(span.attributes["attempt"])
        )
        assert request.parent_id == SPAN
        assert relay.parent_id == insert.span_id
        assert {first.parent_id, second.parent_id} == {relay.span_id}
        assert [first.failed, second.failed] == [True, False]
        assert [span.service for span in (request, relay, second)] == ["api", "relay", "worker"]
        effects = collector.named("supabase rest/effects", TRACE)
        assert second.span_id in {span.parent_id for span in effects}
        assert worker.running
