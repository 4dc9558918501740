"""O10: variables and values as container platforms set them, and settings that can never work."""

import os
from pathlib import Path

import pytest

from kernel.boot.adapters import own_settings
from kernel.boot.discovery import discover
from kernel.config.rates import Rate
from kernel.config.settings import Settings, SettingsError, load_settings

NO_FILE = Path(os.devnull)
GOOD = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_KEY": "public",
    "SUPABASE_SERVICE_KEY": "secret",
    "REDIS_HOST": "127.0.0.1",
    "APP_ENV": "development",
}


@pytest.fixture
def load(monkeypatch):
    """Loads only these variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("PORT", raising=False)

    def load(**values: str) -> Settings:
        for name, value in (GOOD | values).items():
            monkeypatch.setenv(name, value)
        return load_settings(NO_FILE, own_settings(discover()))

    return load


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        # White space from mounted secrets, and quotes that `docker run --env-file` keeps.
        ("REDIS_HOST", " redis.example.com\n", "redis_host", "redis.example.com"),
        ("REDIS_HOST", '"redis.example.com"', "redis_host", "redis.example.com"),
        ("REDIS_HOST", "[2001:db8::1]", "redis_host", "2001:db8::1"),
        ("REDIS_TLS", "'true'", "redis_tls", True),
        ("REDIS_USERNAME", "  ", "redis_username", None),
        ("SMTP_HOST", '""', "smtp_host", None),
        ("RATE_LIMIT_LOGIN", '"3/minute"', "rate_limits", {"login": Rate(3, 60)}),
        ("RATE_LIMIT_LOGIN", " ", "rate_limits", {}),
        # Kubernetes sets these for Services with the names redis, broker, smtp and api.
        ("REDIS_PORT", "tcp://10.0.0.1:6380", "redis_port", 6379),
        ("BROKER_PORT", "tcp://10.0.0.1:6380", "broker_port", 6379),
        ("SMTP_PORT", "tcp://10.0.0.1:25", "smtp_port", 587),
        ("API_PORT", "tcp://10.0.0.1:80", "api_port", 8000),
        # Cloud Run, Heroku, Fly, Render.
        ("PORT", "8080", "api_port", 8080),
        ("WEB_CONCURRENCY", "9", "api_workers", 1),
        ("HOST", "0.0.0.0", "api_host", "127.0.0.1"),
        # Values as people write them.
        ("SUPABASE_URL", "https://Project.supabase.co/rest/v1/", "supabase", GOOD["SUPABASE_URL"]),
        ("SUPABASE_URL", "https://project.supabase.co/auth/v1", "supabase", GOOD["SUPABASE_URL"]),
        ("LOG_LEVEL", "info", "log_level", "INFO"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("APP_ENV", "Production", "app_env", "production"),
        ("SMTP_SECURITY", "STARTTLS", "smtp_security", "starttls"),
        ("ALLOWED_HOSTS", '["api.example.com"]', "allowed_hosts", ["api.example.com"]),
        ("ALLOWED_HOSTS", "API.example.com:443", "allowed_hosts", ["api.example.com"]),
        ("ALLOWED_HOSTS", "*.example.com [::1]", "allowed_hosts", ["*.example.com", "[::1]"]),
        ("CORS_ORIGINS", '["https://a.example"]', "cors_origins", ["https://a.example"]),
    ],
)
def test_o10_a_value_is_understood(load, name, value, field, expected):
    assert getattr(load(**{name: value}), field) == expected


def test_o10_api_port_wins_over_port(load):
    assert load(PORT="8080", API_PORT="9090").api_port == 9090


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "https://supabase.com/dashboard/project/abc"),
        ("SUPABASE_URL", "https://db.abc.supabase.co"),
        ("SUPABASE_URL", "https://user:secret@project.supabase.co"),
        ("SUPABASE_URL", "https://project.supabase.co?apikey=1"),
        ("SUPABASE_URL", "postgresql://postgres@db.abc.supabase.co/postgres"),
        ("SUPABASE_URL", "project.supabase.co"),
        ("APP_URL", "https://app.example.com/#/"),
        ("REDIS_HOST", "redis://redis.example.com"),
        ("REDIS_HOST", "redis.example.com:6380"),
        ("REDIS_HOST", "user:secret@redis.example.com"),
        ("BROKER_HOST", "rediss://redis.example.com:6380/0"),
        ("SMTP_HOST", "smtp://smtp.example.com"),
        ("SMTP_HOST", "smtp.example.com:465"),
        ("API_HOST", "*"),
        ("REDIS_PORT", "0"),
        ("REDIS_PORT", "-1"),
        ("REDIS_DB", "-1"),
        ("API_WORKERS", "0"),
        ("WORKER_CONCURRENCY", "1000000"),
        ("KEEP_ALIVE_SECONDS", "nan"),
        ("KEEP_ALIVE_SECONDS", "0"),
        ("WORKER_GRACE_SECONDS", "inf"),
        ("WORKER_GRACE_SECONDS", "-1"),
        ("VISIBILITY_TIMEOUT_SECONDS", "99999999999"),
        ("ALLOWED_HOSTS", "https://api.example.com"),
        ("ALLOWED_HOSTS", "api.example.com/"),
        ("ALLOWED_HOSTS", ".example.com"),
        ("ALLOWED_HOSTS", "größe.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "*"),
        ("RATE_LIMIT_DEFAULT", "100/min"),
        ("HEARTBEAT_FILE", "/nowhere/heartbeat"),
        ("APP_ENV", "prod"),
        ("LOG_LEVEL", "verbose"),
        ("WEBHOOK_URL", "hooks.example.com"),
        ("CELERY_BROKER_URL", "redis://127.0.0.1"),
    ],
)
def test_o10_a_value_that_cannot_work_is_named_at_the_start(load, name, value):
    with pytest.raises(SettingsError) as raised:
        load(**{name: value})
    (line,) = (one for one in str(raised.value).splitlines() if one.startswith("  "))
    assert line.startswith(f"  {name}")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"SMTP_PORT": "465"}, "SMTP_SECURITY must be tls for SMTP_PORT 465"),
        ({"REDIS_USERNAME": "app"}, "REDIS_PASSWORD must be set"),
        ({"SMTP_USERNAME": "app"}, "SMTP_PASSWORD must be set"),
        ({"SMTP_PASSWORD": "secret"}, "SMTP_USERNAME must be set"),
    ],
)
def test_o10_settings_that_belong_together_are_named(load, values, named):
    with pytest.raises(SettingsError, match=named):
        load(**values)


def test_o10_a_url_of_redis_is_named_where_the_host_is_missing(load):
    with pytest.raises(SettingsError, match="REDIS_HOST is missing, and REDIS_URL is not read"):
        load(REDIS_HOST="", REDIS_URL="redis://redis.example.com")
