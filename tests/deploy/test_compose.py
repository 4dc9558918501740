"""compose.yaml: valid by the schema of Compose, and consistent with the code."""

import json
import re
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema_rs
import jwt
import pytest
import typer.main
import yaml

import cli
from kernel.boot.server import UVICORN
from kernel.config.settings import Settings
from kernel.redis.clients import _CACHE_POLICIES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text())
PROXY = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
OURS = {"api", "worker", "relay", "beat", "migrations"}
SETTINGS = {name.upper() for name in Settings.model_fields}
DEFAULT = {name: field.default for name, field in Settings.model_fields.items()}
# The command `migrate` reads it itself.
BESIDE_SETTINGS = {"DATABASE_URL"}


def seconds(text):
    (number,) = re.findall(r"^(\d+)s$", text)
    return int(number)


def test_it_is_valid_by_the_schema_of_compose():
    jsonschema_rs.validator_for(SCHEMA).validate(COMPOSE)


@pytest.mark.parametrize("wrong", [{"comand": ["api"]}, {"ports": "80"}, {"restart": 1}])
def test_what_the_schema_does_not_know_is_found(wrong):
    changed = COMPOSE | {"services": {"api": SERVICES["api"] | wrong}}
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid(changed)


def test_each_process_of_ours_runs_a_command_that_exists():
    commands = vars(typer.main.get_command(cli.app))["commands"]
    ours = {name for name, one in SERVICES.items() if one["image"].startswith("${IMAGE")}
    assert ours == OURS
    assert {SERVICES[name]["command"][0] for name in OURS} <= commands.keys()
    assert {"api", "worker", "relay", "beat", "migrate"} == {
        SERVICES[name]["command"][0] for name in OURS
    }


def test_each_setting_of_ours_exists():
    named = {key for name in OURS for key in SERVICES[name]["environment"]}
    assert named - SETTINGS == BESIDE_SETTINGS


def test_each_variable_is_a_setting_or_is_explained_above():
    variables = set(re.findall(r"\$\{(\w+)", TEXT))
    (own,) = re.findall(r"^# Variables of this file alone: (.+)\.$", TEXT, re.MULTILINE)
    assert variables - SETTINGS == set(own.split(", "))


def test_the_proxy_gets_variables_that_its_configuration_reads_and_its_ports():
    read = set(re.findall(r"\$\{(\w+)", PROXY))
    assert SERVICES["proxy"]["environment"].keys() <= read
    listening = set(re.findall(r"bind \"\$\{PROXY_\w+-:(\d+)\}\"", PROXY))
    assert {port.rpartition(":")[2] for port in SERVICES["proxy"]["ports"]} == listening


def test_the_proxy_finds_the_api_where_it_listens():
    servers = (ROOT / "deploy" / "proxy" / "servers.cfg").read_text()
    ((service, port),) = re.findall(r"server-template api \d+ (\w+):(\d+)", servers)
    assert service in SERVICES
    assert int(port) == DEFAULT["api_port"]
    assert f"EXPOSE {port}" in (ROOT / "Dockerfile").read_text()


def test_the_api_trusts_the_network_of_the_proxy_and_no_other():
    (subnet,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    trusted = SERVICES["api"]["environment"]["TRUSTED_PROXIES"]
    assert ip_network(trusted) == ip_network(subnet["subnet"])
    assert "front" in SERVICES["proxy"]["networks"]
    assert [name for name, one in SERVICES.items() if one.get("ports")] == [
        "proxy",
        "gateway",
        "mailpit",
        "grafana",
    ]


def test_no_process_is_killed_before_it_has_ended_by_itself():
    for name in OURS - {"migrations"}:
        grace = seconds(SERVICES[name]["stop_grace_period"])
        drain = SERVICES["api"]["environment"]["API_DRAIN_SECONDS"]
        assert grace > drain + UVICORN["timeout_graceful_shutdown"]
        assert grace > DEFAULT["worker_grace_seconds"]


def test_the_cache_evicts_no_key_that_must_stay():
    (policy,) = re.findall(r"--maxmemory-policy (\S+)", SERVICES["cache"]["command"][2])
    assert policy in _CACHE_POLICIES


def test_redis_has_memory_to_spare_for_rewriting_its_file():
    for name, share in {"cache": 0.75, "broker": 0.5}.items():
        limit = SERVICES[name]["deploy"]["resources"]["limits"]["memory"]
        (own,) = re.findall(r"--maxmemory (\d+)mb", SERVICES[name]["command"][2])
        assert int(own) <= share * 1024 * int(limit.removesuffix("g"))


def test_the_broker_evicts_nothing_and_writes_to_disk():
    assert "--maxmemory-policy noeviction" in SERVICES["broker"]["command"][2]
    assert "--appendonly yes" in SERVICES["broker"]["command"][2]
    assert SERVICES["broker"]["volumes"] == ["broker:/data"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_and_restarted(name):
    service = SERVICES[name]
    assert re.search(r":[\w.-]+\}?$", service["image"])
    assert "latest" not in service["image"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["restart"] in {"unless-stopped", "no"}
    for needed in service.get("depends_on", {}):
        assert needed in SERVICES
        other = set(SERVICES[needed].get("profiles", []))
        optional = service["depends_on"][needed].get("required") is False
        assert optional or other <= set(service.get("profiles", [])), needed


@pytest.mark.parametrize("name", [*sorted(OURS), "proxy", "cache", "broker"])
def test_what_faces_clients_or_holds_their_data_is_locked_down(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_is_mounted_exists():
    mounted = re.findall(r"(?:\"|- )(\./[\w./-]+):/", TEXT)
    assert len(mounted) == 7
    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_no_port_of_metrics_is_published():
    (port,) = re.findall(r"METRICS_PORT=(\d+)", (ROOT / "Dockerfile").read_text())
    published = [one for service in SERVICES.values() for one in service.get("ports", [])]
    assert not [one for one in published if port in one]
    assert "ports" not in SERVICES["prometheus"]


def test_only_this_machine_sees_the_pages_for_operators():
    for name in ("mailpit", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_each_profile_is_one_that_is_explained():
    named = {profile for one in SERVICES.values() for profile in one.get("profiles", [])}
    assert named == {"supabase", "monitoring"}
    assert all(f"`{profile}`" in TEXT for profile in named)


def test_without_a_profile_everything_of_ours_starts():
    started = {name for name, one in SERVICES.items() if "profiles" not in one}
    assert started == OURS - {"migrations"} | {"proxy", "cache", "broker"}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"mailpit", "rest"}))
def test_what_others_wait_for_has_a_health_check(name):
    waiting = [
        one["depends_on"][name]["condition"]
        for one in SERVICES.values()
        if name in one.get("depends_on", {})
    ]
    ours = name in OURS  # the image has one
    assert "service_healthy" not in waiting or ours or "healthcheck" in SERVICES[name]


def make_env():
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "deploy" / "supabase" / "make_env.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_the_env_for_trying_out_is_complete_and_new_each_time():
    made, again = make_env(), make_env()
    required = {name for name, one in Settings.model_fields.items() if one.is_required()}
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert {name.upper() for name in required} - {"REDIS_HOST"} | asked <= made.keys()
    assert made.keys() <= SETTINGS | set(re.findall(r"\$\{(\w+)", TEXT))
    for name in ("JWT_SECRET", "REDIS_PASSWORD", "BROKER_PASSWORD", "POSTGRES_PASSWORD"):
        assert made[name] != again[name]
    for name, role in (("SUPABASE_KEY", "anon"), ("SUPABASE_SERVICE_KEY", "service_role")):
        assert jwt.decode(made[name], made["JWT_SECRET"], algorithms=["HS256"])["role"] == role
    url = urlsplit(made["SUPABASE_URL"])
    assert url.hostname in SERVICES
    assert SERVICES["gateway"]["environment"]["KONG_PROXY_LISTEN"].endswith(f":{url.port}")
    assert made["SMTP_HOST"] in SERVICES
