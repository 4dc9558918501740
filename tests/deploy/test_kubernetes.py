"""deploy/kubernetes: rendered by kustomize, valid by Kubernetes's schemas, fitting the code."""

import re
from functools import reduce
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from kernel.boot.discovery import discover
from kernel.edge.routes import RouteTable, routes_of
from kit import manifests
from kit.manifests import CHECKS, CUSTOM, FOLDER, OLDEST, Cluster, pod_of

pytestmark = [pytest.mark.skipif(bool(why := manifests.why_not()), reason=why or "")]

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
# The paths to a pod in a workload, and to its first container.
POD = ("spec", "template", "spec")
MAIN = (*POD, "containers", 0)
SECRET = (*MAIN, "env", 0, "valueFrom", "secretKeyRef")
RULE = ("spec", "egress", 0)
# Wrong values: the check that must find it, kind and name of the document, the path, the value.
WRONG = [
    ("valid", "Deployment", "api", ("spec", "replica"), 3),
    ("valid", "Service", "api", ("spec", "ports"), "8000"),
    ("valid", "ScaledObject", "worker", ("spec", "minReplicas"), 2),
    ("valid", "ScaledObject", "worker", ("spec", "triggers", 0, "metadata", "listLength"), 100),
    ("commands", "Deployment", "api", (*MAIN, "args"), ["serve"]),
    ("commands", "Deployment", "relay", (*MAIN, "args"), ["beat"]),
    ("commands", "Deployment", "beat", (*MAIN, "image"), "other:1"),
    ("variables", "ConfigMap", "settings", ("data", "API_HOTS"), "x"),
    ("variables", "ConfigMap", "settings", ("data", "APP_ENV"), "development"),
    ("variables", "ConfigMap", "settings", ("data", "TRUSTED_PROXIES"), "0.0.0.0/0"),
    ("variables", "ConfigMap", "settings", ("data", "SUPABASE_URL"), "http://example.com"),
    ("variables", "ConfigMap", "settings", ("data", "REDIS_TLS"), "perhaps"),
    ("variables", "Deployment", "worker", (*MAIN, "env", 0, "name"), "WORKERS"),
    (
        "variables",
        "Deployment",
        "cache",
        (*MAIN, "env", 0, "valueFrom", "secretKeyRef", "key"),
        "P",
    ),
    ("variables_are_ours_alone", "Deployment", "api", (*POD, "enableServiceLinks"), True),
    ("ports", "Deployment", "api", (*MAIN, "ports", 0, "containerPort"), 8080),
    ("ports", "Service", "api", ("spec", "ports", 0, "port"), 80),
    ("ports", "Service", "cache", ("spec", "ports", 0, "targetPort"), "valkey"),
    ("ports", "Deployment", "proxy", (*MAIN, "ports", 1, "containerPort"), 443),
    ("ports", "ConfigMap", "settings", ("data", "BROKER_HOST"), "redis"),
    ("probes", "Deployment", "api", (*MAIN, "readinessProbe", "httpGet", "path"), "/health"),
    (
        "probes",
        "Deployment",
        "api",
        (*MAIN, "livenessProbe", "httpGet", "path"),
        "/api/v1/health/readiness",
    ),
    ("probes", "Deployment", "worker", (*MAIN, "livenessProbe", "exec", "command"), ["true"]),
    ("grace", "Deployment", "api", (*POD, "terminationGracePeriodSeconds"), 25),
    ("grace", "Deployment", "api", (*POD, "terminationGracePeriodSeconds"), 60),
    ("grace", "Deployment", "worker", (*MAIN, "env", 2, "value"), "30"),
    ("grace", "Deployment", "api", (*MAIN, "env", 1, "value"), "12"),
    ("grace", "Deployment", "api", (*MAIN, "env", 1, "value"), "1"),
    ("grace", "Deployment", "worker", (*MAIN, "lifecycle"), {"preStop": {}}),
    ("grace", "Deployment", "proxy", (*POD, "terminationGracePeriodSeconds"), 30),
    ("locked_down", "Deployment", "api", (*POD, "securityContext", "runAsNonRoot"), False),
    ("locked_down", "Deployment", "api", (*POD, "securityContext", "runAsUser"), 1000),
    ("locked_down", "StatefulSet", "broker", (*POD, "securityContext", "seccompProfile"), {}),
    ("locked_down", "Job", "migrate", (*POD, "automountServiceAccountToken"), True),
    ("locked_down", "Deployment", "proxy", (*MAIN, "securityContext", "capabilities"), {}),
    (
        "locked_down",
        "Deployment",
        "relay",
        (*MAIN, "securityContext", "readOnlyRootFilesystem"),
        False,
    ),
    ("bounded", "Deployment", "api", (*MAIN, "resources", "limits", "memory"), "9Gi"),
    ("bounded", "Deployment", "api", (*MAIN, "resources", "limits", "cpu"), "2"),
    ("bounded", "Deployment", "beat", (*MAIN, "resources"), {}),
    ("bounded", "Deployment", "worker", (*MAIN, "resources", "limits", "cpu"), "4"),
    ("bounded", "Deployment", "cache", (*MAIN, "resources", "limits", "memory"), "2Gi"),
    (
        "bounded",
        "Deployment",
        "cache",
        (*MAIN, "command", 2),
        "valkey-server --maxmemory 768mb --maxmemory-policy allkeys-lru",
    ),
    (
        "bounded",
        "StatefulSet",
        "broker",
        (*MAIN, "command", 2),
        "valkey-server --maxmemory 512mb --maxmemory-policy noeviction",
    ),
    ("available", "HorizontalPodAutoscaler", "api", ("spec", "minReplicas"), 2),
    ("available", "HorizontalPodAutoscaler", "api", ("spec", "maxReplicas"), 20),
    ("available", "Deployment", "worker", ("spec", "strategy", "rollingUpdate"), {}),
    ("available", "Deployment", "api", ("spec", "replicas"), 3),
    ("available", "PodDisruptionBudget", "api", ("spec", "minAvailable"), 3),
    ("connected", "Service", "cache", ("spec", "selector", "component"), "redis"),
    ("connected", "ScaledObject", "worker", ("spec", "scaleTargetRef", "name"), "workers"),
    ("connected", "HorizontalPodAutoscaler", "api", ("spec", "scaleTargetRef", "name"), "web"),
    ("queues", "ScaledObject", "worker", ("spec", "triggers", 0, "metadata", "listName"), "celery"),
    (
        "queues",
        "ScaledObject",
        "worker",
        ("spec", "triggers", 1, "metadata", "address"),
        "cache.application.svc:6379",
    ),
    ("queues", "TriggerAuthentication", "broker", ("spec", "secretTargetRef", 0, "key"), "KEY"),
    ("ports", "Deployment", "worker", (*MAIN, "ports", 0, "containerPort"), 8000),
    ("networks", "NetworkPolicy", "metrics", ("spec", "ingress", 0, "ports", 0, "port"), "http"),
    ("networks", "NetworkPolicy", "metrics", ("spec", "podSelector"), {}),
    ("networks", "NetworkPolicy", "default-deny", ("spec", "policyTypes"), ["Ingress"]),
    ("networks", "NetworkPolicy", "cache", ("spec", "ingress", 0, "from"), [{"podSelector": {}}]),
    ("networks", "NetworkPolicy", "broker", ("spec", "ingress"), []),
    ("networks", "NetworkPolicy", "mail", ("spec", "podSelector"), {}),
    (
        "networks",
        "NetworkPolicy",
        "outside",
        (*RULE, "to", 0, "ipBlock"),
        {"cidr": "0.0.0.0/0"},
    ),
]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_overlay_is_valid_and_fits_the_code(overlay, check):
    assert list(check(Cluster.of(overlay))) == []


@pytest.mark.parametrize(
    ("check", "kind", "name", "place", "value"),
    WRONG,
    ids=[f"{check}-{name}-{place[-1]}-{value}" for check, _, name, place, value in WRONG],
)
def test_a_wrong_value_is_found(check, kind, name, place, value):
    cluster = Cluster.of("keda").copy()
    *way, last = place
    reduce(lambda part, step: part[step], way, cluster.get(kind, name))[last] = value
    (finds,) = [one for one in CHECKS if one.__name__ == check]
    if check != "valid":
        assert list(finds(cluster)) != []
        return
    (broken,) = [one for one in cluster.documents if one == cluster.get(kind, name)]
    assert list(finds(Cluster([broken]))) != []


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("PodMonitor", ("spec", "selectors"), {}),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "often"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), 5),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "severity"), "page"),
    ],
)
def test_a_fault_in_what_the_prometheus_operator_reads_is_found(kind, place, value):
    cluster = Cluster.of("prometheus-operator").copy()
    *way, last = place
    document = cluster.get(kind, "application")
    reduce(lambda part, step: part[step], way, document)[last] = value
    assert list(manifests.valid(Cluster([document]))) != []


def test_the_prometheus_operator_scrapes_every_process_and_has_every_alert():
    cluster = Cluster.of("prometheus-operator")
    monitor = cluster.get("PodMonitor", "application")["spec"]
    (expression,) = monitor["selector"]["matchExpressions"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    scraped = {
        name
        for name, one in cluster.containers()
        if endpoint["port"] in {port["name"] for port in one.get("ports", [])}
    }
    assert set(expression["values"]) == scraped == {"api", "worker", "relay", "beat"}
    assert monitor["jobLabel"] == expression["key"] == "component"
    rules = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules" / "alerts.yml").read_text())
    assert cluster.get("PrometheusRule", "application")["spec"] == rules


def test_every_check_has_a_wrong_value():
    assert {wrong[0] for wrong in WRONG} == {check.__name__ for check in CHECKS}


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid_for_the_oldest_kubernetes_that_is_promised(overlay):
    for one in Cluster.of(overlay).documents:
        if one["apiVersion"].partition("/")[0] not in CUSTOM:
            kubernetes_validate.validate(one, OLDEST, strict=True)


def test_the_documents_promise_the_oldest_kubernetes_that_is_checked():
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    assert f"Kubernetes {OLDEST} and newer" in operations


@pytest.mark.skipif(
    "health" not in discover(), reason="the slice health was removed: give the probes other paths"
)
def test_the_paths_of_probes_are_paths_of_the_api():
    (container,) = Cluster.of("production").pods["api"]["spec"]["containers"]
    asked = {container[f"{one}Probe"]["httpGet"]["path"] for one in ("liveness", "readiness")}
    table = RouteTable(routes_of(discover()))
    assert asked
    for path in asked:
        found = table.find("GET", path)
        assert found is not None, path
        assert found.path == path


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_other_images_are_those_of_compose(overlay):
    named = {one["image"] for one in COMPOSE["services"].values()}
    others = {one["image"] for _, one in Cluster.of(overlay).containers()}
    ours = {one for one in others if re.search(r"/application:", one)}
    assert len(ours) == 1
    assert others - ours - named == {"docker.io/library/postgres:17-alpine"}
    assert all(re.search(r":\d[\w.-]+$", one) for one in others)


def test_managed_redis_leaves_no_server_of_ours():
    cluster = Cluster.of("managed-redis")
    assert cluster.pods.keys() == {"api", "worker", "relay", "beat", "migrate", "proxy", "backup"}
    assert cluster.settings["REDIS_TLS"] == cluster.settings["BROKER_TLS"] == "true"
    assert cluster.settings["REDIS_HOST"] != cluster.settings["BROKER_HOST"]
    assert "initContainers" not in pod_of(cluster.get("CronJob", "backup"))["spec"]


def test_a_changed_setting_restarts_the_processes():
    cluster = Cluster.of("production")
    name = cluster.get("ConfigMap", "settings")["metadata"]["name"]
    assert re.fullmatch(r"settings-[a-z0-9]{10}", name)
    for component in ("api", "worker", "relay", "beat"):
        (container,) = cluster.pods[component]["spec"]["containers"]
        assert {"configMapRef": {"name": name}} in container["envFrom"]


def test_no_secret_is_in_a_manifest():
    for overlay in OVERLAYS:
        assert Cluster.of(overlay).all("Secret") == []
        assert not set(manifests.secret_names()) & Cluster.of(overlay).settings.keys()


def test_backups_come_twice_in_the_hour_that_may_be_lost():
    cluster = Cluster.of("production")
    spec = cluster.get("CronJob", "backup")["spec"]
    assert spec["schedule"] == "*/30 * * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    scripts = cluster.get("ConfigMap", "backup")["data"]
    pod = cluster.pods["backup"]["spec"]
    ran = [one["command"][1] for one in [*pod["initContainers"], *pod["containers"]]]
    assert ran == [f"/etc/backup/{name}" for name in ("broker.sh", "database.sh")]
    for name, text in scripts.items():
        assert text == (ROOT / "deploy" / "backup" / name).read_text(encoding="utf-8")


def selects(selector, labels):
    """Tell whether a selector of kubectl matches labels."""
    found = re.fullmatch(r"component(?:=(\w+)| (in|notin) \(([\w, ]+)\))", selector)
    assert found, selector
    named = set((found[1] or found[3]).split(", "))
    return (labels.get("component") in named) is (found[2] != "notin")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_release_applies_everything_once_and_in_order(overlay):
    script = (FOLDER / "release.sh").read_text(encoding="utf-8")
    steps = re.findall(r"^apply '(.+?)'", script, re.MULTILINE)
    order: dict[str | None, set[int]] = {}
    for one in Cluster.of(overlay).documents:
        labels = one["metadata"].get("labels", {})
        matched = [place for place, step in enumerate(steps) if selects(step, labels)]
        assert len(matched) == 1, one["metadata"]
        order.setdefault(labels.get("component"), set()).update(matched)
    assert all(len(places) == 1 for places in order.values())
    (migrate, worker, relay, api) = (
        min(order[name]) for name in ("migrate", "worker", "relay", "api")
    )
    assert migrate < worker < relay == min(order["beat"]) < api
    assert min(order[None]) == worker
