"""The listener of /metrics: what it answers, and to whom."""

import os
import socket
import sys
import threading

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.registry import Collector

from kernel.config.settings import SettingsError
from kernel.core.metrics import SHARED_FOLDER
from kernel.observe.listener import Listener, collectors
from kit.metrics import Scrape
from kit.waiting import until


@pytest.fixture
def listen(settings):
    opened = []

    def start(*given, port=0, **changes):
        changed = settings.model_copy(update={"metrics_port": port, **changes})
        opened.append(Listener(changed, *given))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def get(listener, path="/metrics", **headers):
    return httpx.get(f"http://127.0.0.1:{listener.port}{path}", headers=headers, timeout=20)


def counted(number):
    registry = CollectorRegistry()
    Counter("things_total", "Things.", registry=registry).inc(number)
    return registry


def test_it_answers_what_its_collectors_report_and_nothing_else(listen):
    listener = listen(counted(7))
    answer = get(listener)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert Scrape(answer.text).value("things_total") == 7
    for path in ("/", "/metrics/x", "/metricsx", "/api/v1/health"):
        assert get(listener, path).status_code == 404
    address = f"http://127.0.0.1:{listener.port}/metrics"
    assert httpx.post(address, timeout=20).status_code == 501


def test_openmetrics_is_answered_to_those_who_ask_for_it(listen):
    wanted = "application/openmetrics-text; version=1.0.0"
    answer = get(listen(counted(1)), Accept=f"{wanted},text/plain;q=0.5")
    assert answer.headers["content-type"].startswith(f"{wanted}; charset=utf-8")
    assert answer.text.endswith("# EOF\n")


def test_allowed_hosts_do_not_concern_it(listen):
    listener = listen(counted(1), allowed_hosts=["api.example.com"])
    assert get(listener, Host="prometheus.invalid").status_code == 200


def test_a_silent_client_delays_no_other(listen):
    listener = listen(counted(1))
    with socket.create_connection(("127.0.0.1", listener.port)) as silent:
        silent.sendall(b"GET /met")
        assert get(listener).status_code == 200


def test_without_a_port_there_is_no_listener(listen):
    before = threading.active_count()
    assert listen(counted(1), port=None).port is None
    assert threading.active_count() == before


def test_a_port_that_is_taken_is_one_message_that_names_the_setting(listen):
    taken = listen(counted(1)).port
    with pytest.raises(SettingsError, match=f"METRICS_PORT {taken}: Address already in use"):
        listen(counted(1), port=taken)


def test_a_process_that_has_just_made_its_file_spoils_no_scrape(listen, monkeypatch, tmp_path):
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    parts = collectors("worker", "1")
    value = MmapedDict(str(tmp_path / f"counter_{os.getpid()}.db"))
    value.write_value(mmap_key("things_total", "things_total", [], [], "Things."), 7, 0)
    (tmp_path / "histogram_1.db").touch()
    assert Scrape(get(listen(*parts)).text).value("things_total") == 7
    value.close()


async def test_a_collector_that_fails_is_logged(listen, caplog):
    class Broken(Collector):
        def collect(self):
            if answering:
                raise LookupError("no file")
            return ()

    answering = False
    listener = listen(Broken())
    answering = True
    with pytest.raises(httpx.RemoteProtocolError):
        get(listener)
    await until(lambda: "Metrics cannot be reported" in caplog.text)


def test_every_process_reports_itself(listen):
    found = Scrape(get(listen(*collectors("beat", "1.2.3"))).text)
    assert found.value("build_info", role="beat", version="1.2.3") == 1
    assert found.total("python_info") == 1
    assert found.total("python_gc_collections_total") > 0
    assert "jobs_messages_refused_total" in found.names()  # what the kernel counts
    if sys.platform == "linux":
        assert found.total("process_resident_memory_bytes", process="main") > 1_000_000
        assert found.total("process_cpu_seconds_total", process="main") > 0
