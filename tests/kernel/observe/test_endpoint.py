"""/metrics at the API's own port: in development, and in production only if it is asked for."""

import time

import httpx

from kernel.boot.app import create_app
from kernel.boot.discovery import version
from kit.application import running
from kit.front import silent
from kit.metrics import Scrape
from kit.small import changed, feature
from kit.waiting import many

URL = "http://api.test/metrics"


async def asked(client: httpx.AsyncClient) -> Scrape:
    answer = await client.get(URL)
    assert answer.status_code == 200
    return Scrape(answer.text)


async def test_metrics_lie_at_the_root_outside_of_the_api_and_its_document(anonymous):
    answer = await anonymous.get(URL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert (await anonymous.get("/metrics")).status_code == 404  # /api/v1/metrics
    document = (await anonymous.get("http://api.test/openapi.json")).json()
    assert not [path for path in document["paths"] if "metrics" in path]


async def test_requests_processes_jobs_and_outbox_are_all_there(settings):
    app = create_app(settings, {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        await client.get("/call")
        found = await asked(client)
    assert found.value("http_requests_total", slice="call", method="GET", status=200) == 1
    assert found.value("build_info", role="api", version=version()) == 1
    assert "python_gc_collections_total" in found.names()
    assert found.value("operations_up", source="database") is not None


async def test_in_production_it_is_404_unless_it_is_asked_for(settings):
    production = settings.model_copy(update={"app_env": "production"})
    app = create_app(production, {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        answer = await client.get(URL)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"
    wanted = changed(production, metrics_on_api=True)
    app = create_app(wanted, {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        assert (await client.get(URL)).status_code == 200


async def test_openmetrics_is_answered_to_those_who_ask_for_it(anonymous):
    wanted = "application/openmetrics-text; version=1.0.0"
    answer = await anonymous.get(URL, headers={"Accept": f"{wanted},text/plain;q=0.5"})
    assert answer.headers["content-type"].startswith(f"{wanted}; charset=utf-8")
    assert answer.text.endswith("# EOF\n")


async def test_r8_metrics_are_exempt_from_limits(client_for):
    async with client_for(address="203.0.113.77") as client:
        answers = await many(150, lambda: client.get(URL), at_once=10)
    assert {answer.status_code for answer in answers} == {200}
    assert not [answer for answer in answers if "ratelimit" in answer.headers]


async def test_without_the_database_it_is_200_in_time_and_says_so(settings, front):
    app = create_app(front.settings(settings), {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        front.rest = silent
        began = time.perf_counter()
        found = await asked(client)
        assert time.perf_counter() - began < 1.5
        assert found.value("operations_up", source="database") == 0
        assert "jobs_runs" not in found.names()
        assert found.total("python_gc_collections_total") > 0
        asked_for = front.count("rest")
        await asked(client)
        assert front.count("rest") == asked_for  # a failed query is not repeated immediately
