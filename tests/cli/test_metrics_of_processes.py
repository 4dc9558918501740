"""The metrics of worker, relay and beat: real processes, and real jobs."""

import signal
import sys

import pytest

from devstack.testing import free_port
from kernel.boot.discovery import version
from kit.metrics import scraped
from kit.waiting import until

pytestmark = pytest.mark.slow

ATTEMPTS = "jobs_attempt_duration_seconds_count"


async def test_each_process_says_what_it_does_and_one_alone_what_waits(system):
    ports = {name: free_port() for name in ("worker", "relay", "beat")}
    started = {
        name: await system.start(name, METRICS_PORT=str(port)) for name, port in ports.items()
    }
    found = {name: await scraped(port) for name, port in ports.items()}
    for name, scrape in found.items():
        assert scrape.value("build_info", role=name, version=version()) == 1
        assert scrape.total("heartbeat_timestamp_seconds") > 0
        if sys.platform == "linux":
            assert scrape.total("process_resident_memory_bytes", process="main") > 0
    assert [name for name, scrape in found.items() if "operations_up" in scrape.names()] == [
        "relay"
    ]
    jobs = found["worker"].labels("name")
    assert jobs
    assert all(found["worker"].value(ATTEMPTS, name=j, result="failed") == 0 for j in jobs)

    author, _ = await system.author()
    await system.publish(author)

    async def succeeded():
        scrape = await scraped(ports["worker"])
        return scrape.total(ATTEMPTS, result="succeeded") and scrape

    worker = await until(succeeded, seconds=40)
    # The children have counted; each of them is a process of its own.
    assert worker.total("process_resident_memory_bytes", process="1") > 0
    assert worker.total("supabase_call_duration_seconds_count", kind="function", outcome="ok") > 0

    async def delivered():
        return (await scraped(ports["relay"])).value("relay_events_total", result="delivered")

    await until(delivered)

    # A port does not stay with the children of a worker that was killed.
    started["worker"].signal(signal.SIGKILL)
    await started["worker"].ended()
    again = await system.start("worker", METRICS_PORT=str(ports["worker"]))
    assert again.running
    assert (await scraped(ports["worker"])).value("build_info", role="worker", version=version())
