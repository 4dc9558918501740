"""deploy/monitoring: rules, their tests, dashboards and the runbook agree, also with the code."""

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from contract import shipped
from kit.prometheus import FOLDER, PROMTOOL, RULES, WHY_NOT

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "MONITORING.md").read_text(encoding="utf-8")
ALERTS = [one for group in yaml.safe_load(RULES.read_text())["groups"] for one in group["rules"]]
TESTS = yaml.safe_load((FOLDER / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PROMETHEUS_YML = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
PANELS = [
    panel
    for path in sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
]
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason=WHY_NOT)


def promtool(*words):
    return subprocess.run(
        [PROMTOOL, *words], capture_output=True, text=True, check=False, timeout=60, cwd=FOLDER
    )


def fires(case):
    """Return the names of the alerts that a case of promtool expects."""
    text = " ".join(
        sample["labels"]
        for test in case["promql_expr_test"]
        for sample in test["exp_samples"]
        if "labels" in sample
    )
    return set(re.findall(r'alertname="(\w+)"', text))


def test_the_products_four_alerts_and_those_of_the_processes_exist():
    assert {one["alert"] for one in ALERTS} >= {
        *("ErrorsHigh", "HitRateLow", "QueueLong", "RequestsSlow"),
        *("OutboxLag", "DeadLetters", "BreakerOpen", "BeatSilent", "RelaySilent"),
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_each_alert_has_a_section_of_the_runbook_and_says_what_to_do(alert):
    name = alert["alert"]
    (section,) = re.findall(rf"^### {name}\n(.+?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    for part in ("**Meaning.**", "**Look.**", "**Do.**"):
        assert part in section
    assert alert["annotations"].keys() == {"summary", "description", "action", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/MONITORING.md#{name.lower()}"
    assert alert["labels"]["severity"] in {"page", "ticket"}


def test_the_runbook_has_no_section_of_an_alert_that_does_not_exist():
    (alerts,) = re.findall(r"^## Alerts\n(.+?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^### (\w+)$", alerts, re.MULTILINE) == [one["alert"] for one in ALERTS]


def test_each_alert_has_a_case_in_which_it_alone_fires_and_two_in_which_none_does():
    expected = [fires(case) for case in TESTS]
    assert expected.count(set()) == 2
    assert {frozenset(one) for one in expected if one} == {
        frozenset({one["alert"]}) for one in ALERTS
    }


@needs_promtool
@pytest.mark.slow
def test_promtool_accepts_rules_and_configurations_and_runs_the_cases():
    for words in (
        ("check", "config", "prometheus.yml"),
        ("check", "config", "local.yml"),
        ("test", "rules", "alerts.test.yml"),
    ):
        done = promtool(*words)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.slow
def test_promtool_finds_an_alert_that_fires_at_another_threshold(tmp_path):
    (tmp_path / "rules").mkdir()
    changed = RULES.read_text().replace("> 0.01", "> 0.2", 1)
    (tmp_path / "rules" / "alerts.yml").write_text(changed)
    (tmp_path / "alerts.test.yml").write_text((FOLDER / "alerts.test.yml").read_text())
    done = promtool("test", "rules", str(tmp_path / "alerts.test.yml"))
    assert done.returncode == 1
    assert 'exp: {alertname="ErrorsHigh"}' in done.stdout + done.stderr


def test_dashboards_and_the_operators_rules_are_those_of_the_program():
    files = runpy.run_path(str(FOLDER / "dashboards.py"))["files"]()
    dashboards = {path for path in files if path.suffix == ".json"}
    assert dashboards == set((FOLDER / "grafana" / "dashboards").glob("*.json"))
    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, f"run python {FOLDER / 'dashboards.py'}"


def test_grafana_finds_its_dashboards_and_its_source_where_compose_puts_them():
    provisioning = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dashboards.yml").read_text())[
        "providers"
    ]
    mounted = [one.split(":")[1] for one in COMPOSE["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def test_values_of_labels_in_queries_exist_in_the_code():
    source = "".join(
        (ROOT / "platform" / "kernel" / folder / "metrics.py").read_text()
        for folder in ("core", "observe")
    )
    known = set(re.findall(r"\w+", source)) | {"api", "worker", "relay", "beat", *shipped.SLICES}
    queries = [one["expr"] for one in ALERTS]
    queries += [target["expr"] for panel in PANELS for target in panel["targets"]]
    named = {
        value
        for query in queries
        for label, values in re.findall(r'(\w+)(?:=|=~|!=|!~)"([^"]+)"', query)
        if label != "status"
        for value in values.split("|")
    }
    assert named
    assert named <= known


def test_prometheus_scrapes_every_process_of_compose_at_the_images_port():
    jobs = {one["job_name"]: one for one in PROMETHEUS_YML["scrape_configs"]}
    assert jobs.keys() == {"api", "worker", "relay", "beat"}
    (port,) = re.findall(r"METRICS_PORT=(\d+)", (ROOT / "Dockerfile").read_text())
    for name, job in jobs.items():
        (found,) = job["dns_sd_configs"]
        assert (found["names"], found["port"]) == ([name], int(port))
        networks = set(COMPOSE["services"][name]["networks"])
        assert networks & set(COMPOSE["services"]["prometheus"]["networks"])
