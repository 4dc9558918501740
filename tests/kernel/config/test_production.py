"""What production refuses; no message holds a value."""

from typing import Any

import jwt
import pytest

from devstack.testing import CLI_JWT_SECRET, api_key
from kernel.boot.app import create_app
from kernel.config import production as config_check
from kernel.config.production import findings, refusal, refuse_unsafe
from kernel.config.settings import Settings, SettingsError

SECRET = "a-secret-of-your-own-with-more-than-32-bytes"


def key(role: str, secret: str = SECRET) -> str:
    return jwt.encode({"iss": "supabase", "ref": "x" * 20, "role": role}, secret, "HS256")


GOOD = {
    "app_env": "production",
    "supabase_url": "https://project.supabase.co",
    "supabase_key": key("anon"),
    "supabase_service_key": key("service_role"),
    "jwt_secret": SECRET,
    "redis_host": "cache",
    "broker_host": "broker",
    "smtp_host": "smtp.example.com",
    "mail_from": "Slices <no-reply@example.com>",
    "app_url": "https://app.example.com",
    "allowed_hosts": ["api.example.com"],
    "cors_origins": ["https://app.example.com"],
}
CLI_SECRET_KEY = "sb_secret_N7UND0UgjKTVK-" + "Uodkm0Hg_xSvEMPvz"
CLI_PUBLIC_KEY = "sb_publishable_" + "ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH"
ERRORS: list[tuple[str, dict[str, Any]]] = [
    ("JWT_SECRET", {"jwt_secret": CLI_JWT_SECRET}),
    ("SUPABASE_KEY", {"supabase_key": api_key("anon")}),
    ("SUPABASE_KEY", {"supabase_key": CLI_PUBLIC_KEY}),
    ("SUPABASE_KEY", {"supabase_key": key("service_role")}),
    ("SUPABASE_KEY", {"supabase_key": "sb_secret_" + "x" * 31}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": api_key("service_role")}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": CLI_SECRET_KEY}),
    (
        "SUPABASE_SERVICE_KEY",
        {"supabase_service_key": key("service_role", CLI_JWT_SECRET)},
    ),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": "only-31-bytes-of-secret-material"[:31]}),
    ("SUPABASE_URL", {"supabase_url": "http://project.supabase.co"}),
    ("SUPABASE_URL", {"supabase_url": "http://127.0.0.1:54321"}),
    ("CORS_ORIGINS", {"cors_origins": ["https://app.example.com", "*"]}),
    ("SMTP_HOST", {"smtp_host": None}),
    ("SMTP_SECURITY", {"smtp_security": "none"}),
    ("APP_URL", {"app_url": "http://app.example.com"}),
    ("APP_URL", {"app_url": "http://127.0.0.1:3000"}),
]
WARNINGS: list[tuple[str, dict[str, Any]]] = [
    ("BROKER_HOST", {"broker_host": None}),
    ("DOCS_ENABLED", {"docs_enabled": True}),
    ("ALLOWED_HOSTS", {"allowed_hosts": ["*"]}),
    ("CORS_ORIGINS", {"cors_origins": ["http://app.example.com"]}),
    ("MAIL_FROM", {"mail_from": "Slices <no-reply@localhost>"}),
]
FINE = [
    {},
    {"jwt_secret": None},
    {"supabase_key": "sb_publishable_" + "x" * 31, "supabase_service_key": "sb_secret_" + "x" * 31},
    {"smtp_security": "none", "smtp_host": "localhost"},
    {"smtp_security": "none", "smtp_host": "::1"},
    {"smtp_security": "tls"},
    {"cors_origins": []},
]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**changes):
    return Settings.model_validate(GOOD | changes)


@pytest.mark.parametrize("changes", FINE)
def test_what_is_fit_for_production_has_no_findings(changes):
    assert findings(settings(**changes)) == []
    refuse_unsafe(settings(**changes))


@pytest.mark.parametrize(("name", "changes"), ERRORS)
def test_an_error_names_the_setting_and_refuses_the_start(name, changes):
    found = findings(settings(**changes))
    assert [(finding.level, finding.setting) for finding in found] == [("error", name)]
    with pytest.raises(SettingsError) as refused:
        refuse_unsafe(settings(**changes))
    assert str(refused.value) == refusal(found)
    secrets = [value for key, value in changes.items() if key.endswith(("key", "secret"))]
    assert not any(secret in str(refused.value) for secret in secrets)


@pytest.mark.parametrize(("name", "changes"), WARNINGS)
def test_a_warning_names_the_setting_and_refuses_nothing(name, changes):
    found = findings(settings(**changes))
    assert [(finding.level, finding.setting) for finding in found] == [("warning", name)]
    refuse_unsafe(settings(**changes))


def test_all_findings_come_at_once_errors_first():
    wrong = {name: value for _, changes in WARNINGS + ERRORS for name, value in changes.items()}
    found = findings(settings(**wrong))
    assert {finding.setting for finding in found} >= {"JWT_SECRET", "APP_URL", "ALLOWED_HOSTS"}
    levels = [finding.level for finding in found]
    assert levels == sorted(levels)


@pytest.mark.parametrize("app_env", ["development", "test", "production"])
def test_s6_one_redis_for_all_is_a_warning_and_never_a_refusal(app_env, caplog):
    one = settings(app_env=app_env, broker_host=None)
    refuse_unsafe(one)
    config_check.log_warnings(one)
    assert [line.setting for line in caplog.records] == ["BROKER_HOST"]


@pytest.mark.parametrize("app_env", ["development", "test"])
def test_outside_production_only_the_way_to_supabase_counts(app_env):
    local = {"app_env": app_env, "smtp_host": None, "jwt_secret": CLI_JWT_SECRET}
    for url in ("http://127.0.0.1:54321", "http://localhost:54321", "http://[::1]:54321"):
        assert findings(settings(**local, supabase_url=url)) == []
    remote = settings(**local, supabase_url="http://project.example.com")
    assert [finding.setting for finding in findings(remote)] == ["SUPABASE_URL"]
    refuse_unsafe(remote)


def test_an_application_that_reads_its_own_settings_refuses_them_too(monkeypatch, tmp_path):
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "none"))
    for name, value in GOOD.items():
        monkeypatch.setenv(name.upper(), value if isinstance(value, str) else ",".join(value))
    monkeypatch.setenv("SMTP_HOST", "")
    with pytest.raises(SettingsError, match="SMTP_HOST is missing"):
        create_app()
    monkeypatch.setenv("SMTP_HOST", GOOD["smtp_host"])
    assert create_app().openapi_url is None


def test_the_well_known_secret_is_the_one_of_the_local_stack():
    assert config_check.CLI_JWT_SECRET == CLI_JWT_SECRET
