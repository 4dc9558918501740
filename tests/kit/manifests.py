"""The rendered manifests of deploy/kubernetes, and checks of them.

Each check takes a Cluster and yields its faults. So a test can also break a copy, and see that the
check finds it.
"""

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

import jsonschema_rs
import kubernetes_validate
import typer.main
import yaml

import cli
from kernel.boot.server import UVICORN
from kernel.config.production import findings
from kernel.config.settings import Settings, SettingsError, load_settings
from kernel.jobs.job import QUEUES
from kernel.redis.clients import _CACHE_POLICIES

Document = dict[str, Any]
ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "kubernetes"
SCHEMAS: Final = ROOT / "tests" / "deploy" / "schemas"
# The schemas of custom resources, by the group of their API.
CUSTOM: Final = {"keda.sh": "keda.json", "monitoring.coreos.com": "prometheus-operator.json"}
NEWEST: Final = "1.37"
"""All documents must be valid by the schemas of this Kubernetes version and of OLDEST."""
OLDEST: Final = "1.31"
OURS: Final = {"api", "worker", "relay", "beat", "migrate"}
DEFAULT: Final = {name.upper(): field.default for name, field in Settings.model_fields.items()}
# The command `migrate` reads it itself.
BESIDE_SETTINGS: Final = {"migrate": {"DATABASE_URL"}}
_WORKLOADS: Final = {"Deployment", "StatefulSet", "Job", "CronJob"}
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "kb": 2**10, "mb": 2**20, "gb": 2**30}
_PLACEHOLDERS: Final = {
    "SUPABASE_KEY": "sb_publishable_Wp3vYk8QmT5rZx1aBc7dEf",
    "SUPABASE_SERVICE_KEY": "sb_secret_Lk2jHg9fDs6aPq4wErTyUi",
    "JWT_SECRET": "q7N2vX0kZ4mB9wT6yR1cF8hJ3gL5pD0sA2eU7iO",
}


def why_not() -> str | None:
    """Return the reason why nothing can be rendered here, or None."""
    return None if _renderer() else "kubectl not found: install it, or kustomize"


@cache
def render(folder: Path) -> str:
    """Return the output of kustomize for a folder."""
    done = subprocess.run(
        [*_renderer(), str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


@cache
def _documents(overlay: str) -> list[Document]:
    return list(yaml.safe_load_all(render(FOLDER / "overlays" / overlay)))


def _renderer() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return ["kustomize", "build"] if shutil.which("kustomize") else []


class Cluster:
    """The rendered documents of an overlay."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents

    @classmethod
    def of(cls, overlay: str) -> "Cluster":
        """Render an overlay."""
        return cls(_documents(overlay))

    def copy(self) -> "Cluster":
        """Return a copy that a test may break."""
        return Cluster(copy.deepcopy(self.documents))

    def all(self, *kinds: str) -> list[Document]:
        """Return the documents of these kinds."""
        return [one for one in self.documents if one["kind"] in kinds]

    def find(self, kind: str, name: str) -> Document | None:
        """Return a document, without the hash that kustomize appends to its name, or None."""
        for one in self.all(kind):
            if re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", one["metadata"]["name"]):
                return one
        return None

    def get(self, kind: str, name: str) -> Document:
        """Return a document that must exist."""
        found = self.find(kind, name)
        assert found is not None, (kind, name)
        return found

    @property
    def pods(self) -> dict[str, Document]:
        """The pod templates, by component."""
        return {
            one["spec"]["template"]["metadata"]["labels"]["component"]
            if one["kind"] != "CronJob"
            else pod_of(one)["metadata"]["labels"]["component"]: pod_of(one)
            for one in self.all(*_WORKLOADS)
        }

    def containers(self) -> Iterator[tuple[str, Document]]:
        """Yield each container with its component."""
        for component, pod in self.pods.items():
            for one in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                yield component, one

    @property
    def settings(self) -> dict[str, str]:
        """The settings that are not secret."""
        data: dict[str, str] = self.get("ConfigMap", "settings")["data"]
        return data


def pod_of(workload: Document) -> Document:
    """Return the pod template of a Deployment, a Job or another workload."""
    spec = workload["spec"]
    template: Document = spec.get("jobTemplate", {}).get("spec", spec)["template"]
    return template


def secret_names() -> list[str]:
    """Return the names of the variables in secrets.example.env."""
    text = (FOLDER / "secrets.example.env").read_text(encoding="utf-8")
    return re.findall(r"^([A-Z_]+)=$", text, re.MULTILINE)


def quantity(text: str) -> float:
    """Parse a number of CPUs or bytes: 500m, 4, 1Gi, 512mb."""
    number, unit = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", text).groups()  # type: ignore[union-attr]
    return float(number) / 1000 if unit == "m" else float(number) * _UNITS.get(unit, 1)


def valid(cluster: Cluster) -> Iterator[str]:
    """Every document is valid by the schema of its API; no field is unknown."""
    others = {
        api: jsonschema_rs.validator_for(json.loads((SCHEMAS / file).read_text(encoding="utf-8")))
        for api, file in CUSTOM.items()
    }
    for one in cluster.documents:
        name = f"{one['kind']} {one['metadata']['name']}"
        if (api := one["apiVersion"].partition("/")[0]) in others:
            yield from (f"{name}: {error.message}" for error in others[api].iter_errors(one))
            continue
        try:
            kubernetes_validate.validate(one, NEWEST, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}: {error.message}"


def commands(cluster: Cluster) -> Iterator[str]:
    """Each of our processes runs an existing command, and every command runs."""
    known = vars(typer.main.get_command(cli.app))["commands"]
    image = next(one["image"] for name, one in cluster.containers() if name == "api")
    ran = {name: one["args"] for name, one in cluster.containers() if one["image"] == image}
    if ran.keys() != OURS:
        yield f"{sorted(ran)} are of our image"
    for component, args in ran.items():
        if args != [component] or args[0] not in known:
            yield f"{component} runs {args}"


def variables(cluster: Cluster) -> Iterator[str]:
    """Each variable is a setting, each secret is in the example; production starts with them."""
    known = DEFAULT.keys()
    for name in {*cluster.settings, *secret_names()} - known:
        yield f"{name} is no setting"
    for component, one in cluster.containers():
        for variable in one.get("env", []):
            name, secret = variable["name"], variable.get("valueFrom", {}).get("secretKeyRef", {})
            if component in OURS and name not in known | BESIDE_SETTINGS.get(component, set()):
                yield f"{component}: {name} is no setting"
            if secret.get("name") == "application" and secret["key"] not in secret_names():
                yield f"{component}: {secret['key']} is not in secrets.example.env"
    for component in sorted(OURS - {"migrate"}):
        if fault := _start(cluster, component):
            yield f"{component}: {fault}"


def _start(cluster: Cluster, component: str) -> str | None:
    """Read the settings as the process does; return the reason for a refusal, or None."""
    (container,) = cluster.pods[component]["spec"]["containers"]
    given = dict.fromkeys(secret_names(), "Gq4zW8nK1xV6bT3mR7yP") | _PLACEHOLDERS
    given |= cluster.settings
    given |= {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
    with mock.patch.dict(os.environ, given, clear=True):
        try:
            settings = load_settings(Path(os.devnull))
        except SettingsError as error:
            return str(error)
    if settings.app_env != "production":
        return f"APP_ENV is {settings.app_env}"
    return next((str(one) for one in findings(settings) if one.level == "error"), None)


def variables_are_ours_alone(cluster: Cluster) -> Iterator[str]:
    """Kubernetes adds no variables: a Service `api` would set API_PORT to tcp://…."""
    for component, pod in cluster.pods.items():
        if pod["spec"].get("enableServiceLinks") is not False:
            yield f"{component}: enableServiceLinks"


def ports(cluster: Cluster) -> Iterator[str]:
    """Services target ports that the code listens on, and settings name existing Services."""
    metrics = int(_image_setting("METRICS_PORT"))
    listened = {
        "api": {DEFAULT["API_PORT"], metrics},
        **{name: {metrics} for name in ("worker", "relay", "beat")},
        "cache": {DEFAULT["REDIS_PORT"]},
        "broker": {DEFAULT["BROKER_PORT"]},
    }
    proxy = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text(encoding="utf-8")
    listened["proxy"] = set(map(int, re.findall(r"bind \"\$\{PROXY_\w+-:(\d+)\}\"", proxy)))
    for component, one in cluster.containers():
        declared = {port["containerPort"] for port in one.get("ports", [])}
        if declared != listened.get(component, set()):
            yield f"{component} has the ports {declared}"
    for service in cluster.all("Service"):
        name = service["metadata"]["name"]
        (container,) = cluster.pods[service["spec"]["selector"]["component"]]["spec"]["containers"]
        named = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in named:
                yield f"Service {name}: {port['targetPort']} is no port of it"
            elif name != "proxy" and port["port"] != named[port["targetPort"]]:
                yield f"Service {name}: {port['port']}"
    for setting in ("REDIS_HOST", "BROKER_HOST"):
        host = cluster.settings[setting]
        if "." not in host and cluster.find("Service", host) is None:
            yield f"{setting}: there is no Service {host}"


def _image_setting(name: str) -> str:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (value,) = re.findall(rf"^ENV .*(?:\n.*)*?\b{name}=(\S+)", dockerfile, re.MULTILINE)
    return str(value)


def probes(cluster: Cluster) -> Iterator[str]:
    """The API's probes query the right paths; processes without HTTP run the image's check."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    program = ["python", "-I", *re.findall(r'CMD \["python", "-I", "(/app/\S+)"\]', dockerfile)]
    wanted: dict[str, Any] = {
        "startupProbe": {"path": "/api/v1/health/liveness", "port": "http"},
        "readinessProbe": {"path": "/api/v1/health/readiness", "port": "http"},
        "livenessProbe": {"path": "/api/v1/health/liveness", "port": "http"},
    }
    for component in sorted(OURS - {"migrate"}):
        (one,) = cluster.pods[component]["spec"]["containers"]
        for probe, asked in wanted.items():
            found = one.get(probe, {}).get("httpGet")
            if component == "api" and found != asked:
                yield f"{component}: {probe} is {found}"
            # The others receive no requests, so they need no readiness.
            done = one.get(probe, {}).get("exec", {}).get("command")
            if component != "api" and probe != "readinessProbe" and done != program:
                yield f"{component}: {probe} is {done}"


def grace(cluster: Cluster) -> Iterator[str]:
    """Every process can end by itself before it is killed, within 30 s."""
    specs = {name: cluster.pods[name]["spec"] for name in OURS | {"proxy"}}
    own: dict[str, dict[str, Any]] = {
        name: {**DEFAULT, **cluster.settings}
        | {one["name"]: one.get("value") for one in spec["containers"][0].get("env", [])}
        for name, spec in specs.items()
    }
    drain = float(own["api"]["API_DRAIN_SECONDS"])
    needed = {
        "api": drain + UVICORN["timeout_graceful_shutdown"],
        "worker": float(own["worker"]["WORKER_GRACE_SECONDS"]),
    }
    for name, seconds in needed.items():
        has = specs[name].get("terminationGracePeriodSeconds", 30)
        if not seconds < has <= 30:
            yield f"{name} needs {seconds:g} s and has {has}"
    if drain < 5:
        yield f"the proxy may need longer than {drain:g} s to see that the API drains"
    if any("lifecycle" in specs[name]["containers"][0] for name in OURS):
        yield "a preStop before SIGTERM delays the drain, which the API does by itself"
    stop = specs["proxy"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    if float(stop[1]) + 30 > specs["proxy"]["terminationGracePeriodSeconds"]:
        yield "the proxy is killed before it has ended"


def locked_down(cluster: Cluster) -> Iterator[str]:
    """Processes have minimal privileges: the profile `restricted`, and a read-only root."""
    for component, pod in cluster.pods.items():
        spec = pod["spec"]
        context = spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{component} may be root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{component}: seccompProfile"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{component} has a token of the cluster"
    for component, one in cluster.containers():
        if one.get("securityContext") != {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }:
            yield f"{component}: {one['name']} is not locked down"
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+):", dockerfile, re.MULTILINE)
    for component in OURS:
        if cluster.pods[component]["spec"]["securityContext"].get("runAsUser") != int(user):
            yield f"{component} is not the image's user"


def bounded(cluster: Cluster) -> Iterator[str]:
    """Limits are those of the product: API 4 CPUs and 8 GiB, worker 2 and 4, both Redis 2 GiB."""
    most = {"api": ("4", "8Gi"), "worker": ("2", "4Gi")}
    redis = 0.0
    for component, one in cluster.containers():
        limits = one.get("resources", {}).get("limits", {})
        if limits.keys() != {"cpu", "memory"} or "requests" not in one["resources"]:
            yield f"{component}: {one['name']} has no limit or no request"
            continue
        cpu, memory = map(quantity, most.get(component, ("1", "1Gi")))
        if quantity(limits["cpu"]) > cpu or quantity(limits["memory"]) > memory:
            yield f"{component}: {one['name']} may have {limits}"
        if component in {"cache", "broker"}:
            redis += quantity(limits["memory"])
            command = one["command"][2]
            own = quantity(re.findall(r"--maxmemory (\w+)", command)[0])
            (policy,) = re.findall(r"--maxmemory-policy (\S+)", command)
            share = 0.5 if component == "broker" else 0.75
            if own > share * quantity(limits["memory"]):
                yield f"{component}: maxmemory is too near its limit"
            if policy not in (_CACHE_POLICIES if component == "cache" else {"noeviction"}):
                yield f"{component} evicts by {policy}"
            if component == "broker" and "--appendonly yes" not in command:
                yield "the broker writes nothing to disk"
    if redis > 2 * 2**30:
        yield "both Redis have more than 2 GiB"
    workers = {one["name"]: one.get("value") for one in _only(cluster, "api").get("env", [])}
    if float(workers.get("API_WORKERS", 1)) > quantity(_limit(cluster, "api")["cpu"]):
        yield "the API has more processes than CPUs"


def _only(cluster: Cluster, component: str) -> Document:
    (one,) = cluster.pods[component]["spec"]["containers"]
    found: Document = one
    return found


def _limit(cluster: Cluster, component: str) -> dict[str, str]:
    limits: dict[str, str] = _only(cluster, component)["resources"]["limits"]
    return limits


def available(cluster: Cluster) -> Iterator[str]:
    """The required number of replicas runs on several machines, also during a rollout."""
    autoscaler = cluster.get("HorizontalPodAutoscaler", "api")["spec"]
    scaled = {one["metadata"]["name"]: one["spec"] for one in cluster.all("ScaledObject")}
    counts = {"api": autoscaler["minReplicas"]}
    for name in ("worker", "relay", "proxy"):
        spec = cluster.get("Deployment", name)["spec"]
        counts[name] = spec.get("replicas") or scaled.get(name, {}).get("minReplicaCount", 1)
    for name, least in {"api": 3, "worker": 2, "relay": 2, "proxy": 2}.items():
        deployment = cluster.get("Deployment", name)["spec"]
        if counts[name] < least:
            yield f"{name}: {counts[name]} of {least}"
        if deployment["strategy"]["rollingUpdate"] != {"maxSurge": 1, "maxUnavailable": 0}:
            yield f"{name}: a release takes one away before the next is there"
        if "topologySpreadConstraints" not in deployment["template"]["spec"]:
            yield f"{name} may run on one machine alone"
        budget = cluster.get("PodDisruptionBudget", name)["spec"]
        if not budget.get("minAvailable", counts[name] - budget.get("maxUnavailable", 0)) < least:
            yield f"{name}: no machine could be emptied"
    for name in ("api", "worker"):
        fixed = "replicas" in cluster.get("Deployment", name)["spec"]
        if fixed and (name == "api" or name in scaled):
            yield f"{name}: an apply would set back how many there are"
    places = re.findall(
        r"server-template api (\d+)", cluster.get("ConfigMap", "proxy")["data"]["kubernetes.cfg"]
    )
    if int(places[0]) < autoscaler["maxReplicas"] + 1:
        yield "the proxy has too few places for the API's pods"


def connected(cluster: Cluster) -> Iterator[str]:
    """Everything that labels select exists."""
    components = cluster.pods.keys()
    for one in cluster.all("PodDisruptionBudget", "NetworkPolicy", "Service", "PodMonitor"):
        selector = one["spec"].get("selector") or one["spec"].get("podSelector") or {}
        labels = selector.get("matchLabels", selector if one["kind"] == "Service" else {})
        named = [labels["component"]] if "component" in labels else []
        for expression in selector.get("matchExpressions", []):
            named += expression["values"]
        for name in set(named) - components:
            yield f"{one['kind']} {one['metadata']['name']}: there is no {name}"
    for one in cluster.all("HorizontalPodAutoscaler", "ScaledObject"):
        target = one["spec"]["scaleTargetRef"]["name"]
        if cluster.find("Deployment", target) is None:
            yield f"{one['kind']}: there is no Deployment {target}"


def queues(cluster: Cluster) -> Iterator[str]:
    """KEDA counts each of our queues at the broker, and logs in with the broker's password."""
    for one in cluster.all("ScaledObject"):
        triggers = one["spec"]["triggers"]
        if {trigger["metadata"]["listName"] for trigger in triggers} != set(QUEUES):
            yield "the queues are others"
        for trigger in triggers:
            host, _, port = trigger["metadata"]["address"].partition(":")
            service, namespace, *domain = host.split(".")
            broker = cluster.settings["BROKER_HOST"]
            if (service, int(port)) != (broker, DEFAULT["BROKER_PORT"]) or domain[0] != "svc":
                yield f"the broker is not {trigger['metadata']['address']}"
            if namespace != one["metadata"]["namespace"]:
                yield f"the namespace is not {namespace}"
            if int(trigger["metadata"]["databaseIndex"]) != DEFAULT["BROKER_DB"]:
                yield "the database of the broker is another"
            trust = cluster.get("TriggerAuthentication", trigger["authenticationRef"]["name"])
            for secret in trust["spec"]["secretTargetRef"]:
                if (secret["name"], secret["key"]) != ("application", "BROKER_PASSWORD"):
                    yield f"the password is not {secret['key']}"


def networks(cluster: Cluster) -> Iterator[str]:
    """Network policies allow only the connections that the code needs, on both sides."""
    deny = cluster.find("NetworkPolicy", "default-deny")
    if deny is None or deny["spec"] != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        yield "not everything is denied by default"
    talks = {"proxy": {"api"}} | {
        name: {"cache", "broker"} for name in ("api", "worker", "relay", "beat")
    }
    talks["backup"] = {"broker"}
    inside = cluster.pods.keys()
    for source in inside:
        reached = {to for to in inside if _allows(cluster, source, to)}
        wanted = talks.get(source, set()) & inside
        if reached != wanted:
            yield f"{source} reaches {sorted(reached)}, and should {sorted(wanted)}"
    internet = {(443,): {"api", "worker", "relay", "beat"}, (587, 465): {"worker"}}
    internet[5432, 6543] = {"migrate", "backup"}
    found: dict[tuple[int, ...], set[str]] = {}
    for policy in cluster.all("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for to in rule["to"]:
                if to.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                    numbers = tuple(port["port"] for port in rule["ports"])
                    found.setdefault(numbers, set()).update(_selected(cluster, policy))
                    if "169.254.0.0/16" not in to["ipBlock"].get("except", []):
                        yield "the cloud's metadata can be read"
    if found != internet:
        yield f"the internet is open for {found}"
    yield from _other_namespaces(cluster)


def _other_namespaces(cluster: Cluster) -> Iterator[str]:
    """Only Prometheus reaches the metrics and nothing else of ours, and KEDA the broker."""
    wanted = {("monitoring", name, "metrics") for name in OURS - {"migrate"}}
    if cluster.all("ScaledObject"):
        wanted.add(("keda", "broker", "redis"))
    found = {
        (*peer["namespaceSelector"]["matchLabels"].values(), name, port["port"])
        for policy in cluster.all("NetworkPolicy")
        for rule in policy["spec"].get("ingress", [])
        for peer in rule.get("from", [])
        if "namespaceSelector" in peer
        for name in _selected(cluster, policy)
        for port in rule["ports"]
    }
    if found != wanted:
        yield f"other namespaces reach {sorted(found)}, and should {sorted(wanted)}"


def _selected(cluster: Cluster, policy: Document) -> set[str]:
    return _chosen(cluster, policy["spec"]["podSelector"])


def _chosen(cluster: Cluster, selector: Document) -> set[str]:
    if not selector:
        return set(cluster.pods)
    for expression in selector.get("matchExpressions", []):
        return set(expression["values"])
    return {selector["matchLabels"]["component"]}


def _allows(cluster: Cluster, source: str, target: str) -> bool:
    """Return whether both sides allow the connection."""
    out = into = False
    for policy in cluster.all("NetworkPolicy"):
        chosen = _selected(cluster, policy)
        for rule in policy["spec"].get("egress", []):
            peers = [to["podSelector"] for to in rule["to"] if "podSelector" in to]
            out |= source in chosen and any(target in _chosen(cluster, one) for one in peers)
        for rule in policy["spec"].get("ingress", []):
            peers = [one["podSelector"] for one in rule.get("from", []) if "podSelector" in one]
            into |= target in chosen and any(source in _chosen(cluster, one) for one in peers)
    return out and into


CHECKS: Final[tuple[Callable[[Cluster], Iterator[str]], ...]] = (
    valid,
    commands,
    variables,
    variables_are_ours_alone,
    ports,
    probes,
    grace,
    locked_down,
    bounded,
    available,
    connected,
    queues,
    networks,
)
