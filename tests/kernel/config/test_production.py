"""The settings that production refuses; no message contains a value."""

from secrets import token_hex, token_urlsafe
from typing import Any
from uuid import uuid4

import jwt
import pytest

from devstack.testing import CLI_JWT_SECRET, api_key
from kernel.boot.app import create_app
from kernel.config import keys
from kernel.config.keys import KNOWN_JWT_SECRETS, is_guessable
from kernel.config.production import findings, log_warnings, refusal, refuse_unsafe
from kernel.config.settings import Settings, SettingsError

SECRET = "a-secret-of-your-own-with-more-than-32-bytes"


def key(role: str, secret: str = SECRET, **claims: Any) -> str:
    known = {"iss": "supabase", "ref": "x" * 20, "role": role}
    return jwt.encode(known | claims, secret, "HS256")


RANDOM = "hT3uYb8KqzW0nXf5_RmJ2cVd7-LgAe4"  # the length of the random part of a Supabase key
PUBLIC_KEY = f"sb_publishable_{RANDOM}"
SECRET_KEY = f"sb_secret_{RANDOM}"
# The example secrets that Supabase publishes in docker/.env.example, without derived keys.
SELF_HOSTED = "your-super-secret-jwt-token-with-at-least-32-characters-long"


GOOD = {
    "app_env": "production",
    "supabase_url": "https://project.supabase.co",
    "supabase_key": key("anon"),
    "supabase_service_key": key("service_role"),
    "jwt_secret": SECRET,
    "redis_host": "cache",
    "redis_password": "one",
    "redis_tls": "true",
    "broker_host": "broker",
    "broker_password": "another",
    "broker_tls": "true",
    "smtp_host": "smtp.example.com",
    "mail_from": "Slices <no-reply@example.com>",
    "app_url": "https://app.example.com",
    "allowed_hosts": ["api.example.com"],
    "cors_origins": ["https://app.example.com"],
}
ES256_KEYS = {"supabase_key": PUBLIC_KEY, "supabase_service_key": SECRET_KEY}
CLI_SECRET_KEY = "sb_secret_N7UND0UgjKTVK-" + "Uodkm0Hg_xSvEMPvz"
CLI_PUBLIC_KEY = "sb_publishable_" + "ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH"
ERRORS: list[tuple[str, dict[str, Any]]] = [
    ("JWT_SECRET", {"jwt_secret": CLI_JWT_SECRET} | ES256_KEYS),
    ("SUPABASE_KEY", {"supabase_key": api_key("anon")}),
    ("SUPABASE_KEY", {"supabase_key": CLI_PUBLIC_KEY}),
    ("SUPABASE_KEY", {"supabase_key": key("service_role")}),
    ("SUPABASE_KEY", {"supabase_key": SECRET_KEY}),
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
S8_ERRORS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("JWT_SECRET", {"jwt_secret": known} | ES256_KEYS)
        for known in (*KNOWN_JWT_SECRETS, SELF_HOSTED)
    ),
    ("JWT_SECRET", {"jwt_secret": "a" * 40} | ES256_KEYS),
    ("CURSOR_SECRET", {"cursor_secret": "a" * 40}),
    ("CURSOR_SECRET", {"cursor_secret": CLI_JWT_SECRET}),
    ("CURSOR_SECRET_PREVIOUS", {"cursor_secret_previous": "change-me-" * 4}),
    ("JWT_SECRET", {"jwt_secret": "0123456789" * 4} | ES256_KEYS),
    ("JWT_SECRET", {"jwt_secret": "change-me-" * 4} | ES256_KEYS),
    ("SUPABASE_KEY", {"supabase_key": key("anon", SELF_HOSTED)}),
    ("SUPABASE_KEY", {"supabase_key": key("anon", iss="supabase-demo")}),
    ("SUPABASE_KEY", {"supabase_key": key("authenticated")}),
    ("SUPABASE_KEY", {"supabase_key": key("anon", exp=1_700_000_000)}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": key("service_role", SELF_HOSTED)}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": key("anon")}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": PUBLIC_KEY}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": key("service_role", "b" + SECRET)}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": "sb_secret_" + "a" * 31}),
    ("SUPABASE_SERVICE_KEY", {"supabase_service_key": RANDOM * 2, "supabase_key": RANDOM * 2}),
    *(
        ("TRUSTED_PROXIES", {"trusted_proxies": networks})
        for networks in (
            ["0.0.0.0/1", "128.0.0.0/1"],
            ["0.0.0.0/1"],
            ["10.0.0.0/8", *(f"{first}.0.0.0/8" for first in range(30, 32))],
            [f"{number << 3:x}00::/5" for number in range(32)],
            ["2000::/3"],
            ["::ffff:0:0/96"],
            ["::ffff:0:0/97", "::ffff:128.0.0.0/97"],
            ["::/8"],
        )
    ),
    ("CORS_ORIGINS", {"cors_origins": ["*"]}),
    ("RATE_LIMIT_DEFAULT", {"rate_limit_default": "9999999/second"}),
    ("RATE_LIMIT_FALLBACK", {"rate_limit_fallback": "1001/second"}),
    ("RATE_LIMIT_LOGIN", {"rate_limits": {"login": "9999999/minute"}}),
    ("RATE_LIMIT_LOGIN_ACCOUNT", {"rate_limits": {"login_account": "1001/hour"}}),
    ("RATE_LIMIT_REAUTHENTICATION", {"rate_limit_reauthentication": "20/second"}),
    ("MAX_BODY_BYTES", {"max_body_bytes": 2**40}),
    ("REDIS_PASSWORD", {"redis_password": None}),
    ("BROKER_PASSWORD", {"broker_password": None}),
    (
        "REDIS_PASSWORD",
        {"redis_password": None, "redis_host": "::1", "redis_sentinels": "one.example:26379"},
    ),
]
WARNINGS: list[tuple[str, dict[str, Any]]] = [
    ("BROKER_HOST", {"broker_host": None}),
    ("DOCS_ENABLED", {"docs_enabled": True}),
    ("ALLOWED_HOSTS", {"allowed_hosts": ["*"]}),
    ("CORS_ORIGINS", {"cors_origins": ["http://app.example.com"]}),
    ("MAIL_FROM", {"mail_from": "Slices <no-reply@localhost>"}),
]
S8_WARNINGS: list[tuple[str, dict[str, Any]]] = [
    ("REFUSE_COMMON_PASSWORDS", {"refuse_common_passwords": False}),
    ("LOG_LEVEL", {"log_level": "DEBUG"}),
    ("REDIS_TLS", {"redis_tls": False}),
    ("BROKER_TLS", {"broker_tls": False}),
    ("HEADER_TIMEOUT_SECONDS", {"header_timeout_seconds": 600}),
    ("BODY_TIMEOUT_SECONDS", {"body_timeout_seconds": 3600}),
    ("WRITE_TIMEOUT_SECONDS", {"write_timeout_seconds": 3600}),
]
FINE = [
    {},
    {"jwt_secret": None},
    {"supabase_key": PUBLIC_KEY, "supabase_service_key": SECRET_KEY},
    ES256_KEYS,
    {"redis_host": "127.0.0.1", "redis_password": None, "redis_tls": False},
    {"broker_host": "localhost", "broker_password": None, "broker_tls": False},
    {"trusted_proxies": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]},
    {"trusted_proxies": ["104.16.0.0/13", "172.64.0.0/13", "2400:cb00::/32", "2606:4700::/32"]},
    {"trusted_proxies": ["::ffff:10.0.0.0/104"]},
    {"log_level": "INFO", "rate_limit_default": "1000/second"},
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


@pytest.mark.parametrize(("name", "changes"), ERRORS + S8_ERRORS)
def test_s8_an_error_names_the_setting_and_refuses_the_start(name, changes):
    found = findings(settings(**changes))
    assert [(finding.level, finding.setting) for finding in found] == [("error", name)]
    with pytest.raises(SettingsError) as refused:
        refuse_unsafe(settings(**changes))
    assert str(refused.value) == refusal(found)
    secrets = [value for key, value in changes.items() if key.endswith(("key", "secret"))]
    assert not any(secret in str(refused.value) for secret in secrets)


@pytest.mark.parametrize(("name", "changes"), WARNINGS + S8_WARNINGS)
def test_s8_a_warning_names_the_setting_and_refuses_nothing(name, changes):
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
    log_warnings(one)
    lines = [line for line in caplog.records if line.name == "kernel.config.production"]
    assert [line.setting for line in lines] == ["BROKER_HOST"]


@pytest.mark.parametrize("app_env", ["development", "test"])
def test_outside_production_only_the_way_to_supabase_counts(app_env):
    local = {"app_env": app_env, "smtp_host": None, "jwt_secret": CLI_JWT_SECRET}
    local |= {"supabase_key": api_key("anon"), "supabase_service_key": api_key("service_role")}
    for url in ("http://127.0.0.1:54321", "http://localhost:54321", "http://[::1]:54321"):
        assert findings(settings(**local, supabase_url=url)) == []
    remote = settings(**local, supabase_url="http://project.example.com")
    assert [finding.setting for finding in findings(remote)] == ["SUPABASE_URL"]
    refuse_unsafe(remote)


@pytest.mark.parametrize("app_env", ["development", "test"])
def test_o21_keys_in_each_others_place_are_errors_outside_production_too(app_env):
    local = {"app_env": app_env, "jwt_secret": CLI_JWT_SECRET}
    swapped = settings(
        **local, supabase_key=api_key("service_role"), supabase_service_key=api_key("anon")
    )
    found = [(one.level, one.setting) for one in findings(swapped)]
    assert found == [("error", "SUPABASE_KEY"), ("error", "SUPABASE_SERVICE_KEY")]
    refuse_unsafe(swapped)


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
    assert keys.CLI_JWT_SECRET == CLI_JWT_SECRET


def test_random_secrets_of_every_common_form_are_good_enough():
    for _ in range(1000):
        for secret in (token_hex(16), token_urlsafe(24), token_hex(32), str(uuid4())):
            assert not is_guessable(secret), secret


def test_s8_a_start_that_misses_app_env_says_so_in_one_line():
    missing = {name: value for name, value in GOOD.items() if name != "app_env"}
    assumed = Settings.model_validate(missing)
    assert [(one.level, one.setting) for one in findings(assumed)] == [("warning", "APP_ENV")]
    with pytest.raises(SettingsError) as refused:
        refuse_unsafe(Settings.model_validate(missing | {"supabase_url": "http://project.example"}))
    assert str(refused.value).splitlines()[-1].startswith("APP_ENV is missing, and not all is on")
