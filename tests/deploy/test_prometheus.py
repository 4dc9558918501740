"""A real Prometheus scrapes all processes: every query is valid and finds metrics that exist."""

import json
import re

import pytest
import yaml

from devstack.testing import free_port
from kit.people import PASSWORD, new_email
from kit.prometheus import FOLDER, PROMETHEUS, RULES, WHY_NOT, scraping
from kit.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROMETHEUS, reason=WHY_NOT)]

KEYWORDS = {"and", "or", "unless", "offset", "by", "without", "on", "ignoring"}


def queries():
    """Return every query of the rules and the dashboards."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    found = [one["expr"] for group in rules["groups"] for one in group["rules"]]
    for path in (FOLDER / "grafana" / "dashboards").glob("*.json"):
        panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
        found += [target["expr"] for panel in panels for target in panel["targets"]]
    return found


def metrics_of(query):
    """Return the names of metrics in a query."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|(by|without|on|ignoring)\s*\([^)]*\)", "", query)
    bare = re.sub(r"offset \w+", "", bare)
    return set(re.findall(r"\b([a-z_]+\w*)\b(?!\s*\()", bare)) - KEYWORDS


def labels_of(query):
    """Return (metric, label) for each matcher, and (None, label) for each grouping."""
    found = set()
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", query):
        found |= {(metric, label) for label in re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers)}
    for labels in re.findall(r"\bby\s*\(([^)]*)\)", query):
        found |= {(None, label.strip()) for label in labels.split(",")}
    return found


def test_metrics_and_labels_are_found_in_a_query():
    query = 'sum by (le, job) (rate(a_bucket{x=~"1", y!="2"}[5m])) / b_total offset 5m or vector(0)'
    assert metrics_of(query) == {"a_bucket", "b_total"}
    assert labels_of(query) == {("a_bucket", "x"), ("a_bucket", "y"), (None, "le"), (None, "job")}


async def use(client):
    """Call what makes metrics: sign-up with its mail, posts with their jobs, reads, errors."""
    body = {"email": new_email(), "password": PASSWORD}
    session = (await client.post("/auth/signup", json=body)).raise_for_status().json()["data"]
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    post = {"title": "Measured", "content": "", "published": True}
    made = await client.post("/posts", json=post, headers=headers)
    for _ in range(10):
        await client.get("/posts")
        await client.get(f"/posts/{made.json()['data']['id']}")
    assert (await client.get("/nowhere")).status_code == 404


async def test_every_query_is_valid_and_names_metrics_and_labels_that_exist(whole_system, tmp_path):
    ports = {name: free_port() for name in ("api", "worker", "relay", "beat")}
    for name in ("worker", "relay", "beat"):
        await whole_system.start(name, METRICS_PORT=str(ports[name]))
    async with (
        whole_system.api(METRICS_PORT=str(ports["api"])) as (_, client),
        scraping(tmp_path / "prometheus", ports) as prometheus,
    ):
        await use(client)
        wanted = set().union(*map(metrics_of, queries()))
        assert len(wanted) > 20
        missing = set(wanted)

        async def all_are_there():
            missing.intersection_update(wanted - (await prometheus.labels()).keys())
            return not missing

        try:
            await until(all_are_there)
        except TimeoutError:
            pytest.fail(f"no process reports {sorted(missing)}")
        labels = await prometheus.labels()
        for query in queries():
            await prometheus.query(query)
            for metric, label in labels_of(query):
                metrics = metrics_of(query) if metric is None else {metric}
                assert any(label in labels[one] for one in metrics), f"{label}: {query}"
        assert {one["metric"]["job"] for one in await prometheus.query("up == 1")} == ports.keys()
        assert await prometheus.firing() == set()
        with pytest.raises(AssertionError, match="parse error"):
            await prometheus.query("sum by (")
