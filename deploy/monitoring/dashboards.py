"""Writes Grafana's dashboards, and the alerts in the form of the Prometheus operator.

Change the panels here or the alerts in rules/alerts.yml, run
`python deploy/monitoring/dashboards.py`, and commit all. Each panel is a title, a unit and queries
by their legends.
"""

import json
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "grafana" / "dashboards"
OPERATOR = HERE.parent / "kubernetes" / "overlays" / "prometheus-operator" / "alerts.yaml"
OPERATOR_HEAD = """\
# Written by deploy/monitoring/dashboards.py: change deploy/monitoring/rules/alerts.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: application
spec:
"""
WIDTH, HEIGHT, COLUMNS = 8, 7, 3

Panel = tuple[str, str, dict[str, str]]  # title, Grafana's unit, queries by legend


def quantiles(metric: str, *by: str) -> dict[str, str]:
    """Return the queries for P50, P95 and P99 of a histogram, or for P95 by labels."""
    buckets = f"(rate({metric}_bucket[5m]))"
    if by:
        names = ", ".join(("le", *by))
        legend = " ".join(f"{{{{{name}}}}}" for name in by)
        return {legend: f"histogram_quantile(0.95, sum by ({names}) {buckets})"}
    return {
        f"P{of * 100:.0f}": f"histogram_quantile({of}, sum by (le) {buckets})"
        for of in (0.5, 0.95, 0.99)
    }


def share(metric: str, wanted: str, among: str = "") -> str:
    """Return the query for the share of a counter that `wanted` selects."""
    return f"sum(rate({metric}{{{wanted}}}[5m])) / sum(rate({metric}{{{among}}}[5m]))"


REQUESTS: list[Panel] = [
    (
        "Requests a second",
        "reqps",
        {"{{slice}}": "sum by (slice) (rate(http_requests_total[5m]))"},
    ),
    (
        "Answers by status",
        "reqps",
        {"{{status}}": "sum by (status) (rate(http_requests_total[5m]))"},
    ),
    (
        "Failed requests",
        "percentunit",
        {
            "5xx": share("http_requests_total", 'status=~"5..", slice!="health"', 'slice!="health"')
            + " or vector(0)"
        },
    ),
    ("Time of a request", "s", quantiles("http_request_duration_seconds")),
    ("P95 by slice", "s", quantiles("http_request_duration_seconds", "slice")),
    (
        "Cache hits",
        "percentunit",
        {
            "{{slice}}": 'sum by (slice) (rate(cache_reads_total{result=~"hit|stale"}[5m]))'
            ' / sum by (slice) (rate(cache_reads_total{result!="bypass"}[5m]))',
        },
    ),
    (
        "Cached reads by result",
        "reqps",
        {"{{result}}": "sum by (result) (rate(cache_reads_total[5m]))"},
    ),
    (
        "Decisions of limits",
        "reqps",
        {"{{policy}} {{result}}": "sum by (policy, result) (rate(limiter_decisions_total[5m]))"},
    ),
    (
        "Calls of Supabase",
        "reqps",
        {
            "{{kind}} {{outcome}}": "sum by (kind, outcome) "
            "(rate(supabase_call_duration_seconds_count[5m]))"
        },
    ),
    ("P95 of calls of Supabase", "s", quantiles("supabase_call_duration_seconds", "kind")),
    ("Open breakers", "short", {"{{job}} {{breaker}}": "max by (job, breaker) (breaker_open)"}),
    (
        "Openings of breakers in 5 minutes",
        "short",
        {"{{job}} {{breaker}}": "sum by (job, breaker) (increase(breaker_openings_total[5m]))"},
    ),
]
JOBS: list[Panel] = [
    (
        "Waiting jobs",
        "short",
        {"jobs": "max(jobs_queue_length)", "{{queue}}": "max by (queue) (broker_queue_length)"},
    ),
    (
        "Age of the oldest",
        "s",
        {"job": "max(jobs_queue_age_seconds)", "event": "max(outbox_lag_seconds)"},
    ),
    ("Waiting events", "short", {"events": "max(outbox_pending_events)"}),
    ("Runs by state", "short", {"{{state}}": "max by (state) (jobs_runs)"}),
    (
        "Attempts a second",
        "ops",
        {
            "{{name}}": "sum by (name) (rate(jobs_attempt_duration_seconds_count[5m]))",
        },
    ),
    (
        "Attempts by result",
        "ops",
        {"{{result}}": "sum by (result) (rate(jobs_attempt_duration_seconds_count[5m]))"},
    ),
    ("P95 of an attempt", "s", quantiles("jobs_attempt_duration_seconds", "name")),
    ("Dead letters", "short", {"{{kind}}": "max by (kind) (dead_letters)"}),
    (
        "Mails",
        "ops",
        {"{{kind}} {{result}}": "sum by (kind, result) (rate(mails_total[5m]))"},
    ),
    (
        "Events of the relay",
        "ops",
        {"{{result}}": "sum by (result) (rate(relay_events_total[5m]))"},
    ),
    (
        "Failures of the relay",
        "ops",
        {"{{to}}": "sum by (to) (rate(relay_failures_total[5m]))"},
    ),
    (
        "Slots of beat",
        "short",
        {"{{name}}": "sum by (name) (increase(beat_slots_total[1h]))"},
    ),
]
PROCESSES: list[Panel] = [
    ("Answering processes", "short", {"{{job}}": "sum by (job) (up)"}),
    (
        "CPU time",
        "short",
        {
            "{{job}} {{instance}} {{process}}": "sum by (job, instance, process) "
            "(rate(process_cpu_seconds_total[5m]))"
        },
    ),
    ("Memory", "bytes", {"{{job}} {{instance}} {{process}}": "process_resident_memory_bytes"}),
    (
        "File descriptors",
        "percentunit",
        {"{{job}} {{instance}} {{process}}": "process_open_fds / process_max_fds"},
    ),
    (
        "Seconds since the last heartbeat",
        "s",
        {
            "{{job}} {{instance}}": "time() - "
            '(heartbeat_timestamp_seconds{job=~"worker|relay|beat"} > 0)'
        },
    ),
    (
        "Processes by version",
        "short",
        {"{{role}} {{version}}": "sum by (role, version) (build_info)"},
    ),
]
DASHBOARDS = {"requests": REQUESTS, "jobs": JOBS, "processes": PROCESSES}


def dashboard(name: str, panels: list[Panel]) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    return {
        "uid": name,
        "title": name.capitalize(),
        "tags": ["application"],
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "schemaVersion": 39,
        "editable": False,
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend}
            for n, (legend, query) in enumerate(queries.items())
        ],
    }


def files() -> dict[Path, str]:
    """Return each file and its content."""
    alerts = (HERE / "rules" / "alerts.yml").read_text(encoding="utf-8")
    return {OPERATOR: OPERATOR_HEAD + indent(alerts, "  ")} | {
        FOLDER / f"{name}.json": json.dumps(dashboard(name, panels), indent=1) + "\n"
        for name, panels in DASHBOARDS.items()
    }


if __name__ == "__main__":
    for file, text in files().items():
        file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file}\n")
