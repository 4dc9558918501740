import io
import os
import re
from pathlib import Path

import pytest

from contract import shipped
from kernel.boot.adapters import own_settings
from kernel.boot.discovery import discover
from kernel.config.settings import Settings, SettingsError, load_settings
from kernel.config.types import host_and_port

ROOT = Path(__file__).parents[3]
NO_FILE = Path(os.devnull)
GOOD = {
    "SUPABASE_URL": "https://project.supabase.co/",
    "SUPABASE_KEY": "public",
    "SUPABASE_SERVICE_KEY": "secret",
    "REDIS_HOST": "127.0.0.1",
    "APP_ENV": "development",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    """Sets exactly these variables, and unsets all other settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def set_to(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_to


def test_the_required_ones_are_enough(environment):
    environment(**GOOD)
    settings = load_settings(NO_FILE)
    assert settings.supabase == "https://project.supabase.co"
    assert settings.docs is True
    assert settings.level == "DEBUG"


def test_production_is_quiet_and_without_docs(environment):
    environment(**GOOD | {"APP_ENV": "production"})
    settings = load_settings(NO_FILE)
    assert settings.docs is False
    assert settings.level == "INFO"


@pytest.mark.parametrize(
    ("values", "at_a_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"APP_ENV": "test"}, False, False),
        ({"APP_ENV": "production"}, False, False),
        ({"LOG_FORMAT": "json"}, False, False),
        ({"LOG_FORMAT": "console"}, True, True),
        ({"LOG_FORMAT": "console", "APP_ENV": "production"}, True, True),
    ],
)
def test_logs_are_for_people_at_a_terminal_in_development_or_where_they_are_asked_for(
    environment, monkeypatch, values, at_a_terminal, elsewhere
):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    environment(**GOOD | values)
    settings = load_settings(NO_FILE)
    for stream, expected in ((Terminal(), at_a_terminal), (io.StringIO(), elsewhere)):
        monkeypatch.setattr("sys.__stdout__", stream)
        assert settings.console_logs is expected
    monkeypatch.setattr("sys.__stdout__", None)
    assert settings.console_logs is elsewhere


def test_every_fault_is_in_one_message_and_no_value(environment):
    environment(
        SUPABASE_URL="not an address", SUPABASE_KEY="", JWT_SECRET="too-short", REDIS_PORT="many"
    )
    with pytest.raises(SettingsError) as raised:
        load_settings(NO_FILE)
    message = str(raised.value)
    for name in ("SUPABASE_URL", "SUPABASE_KEY", "SUPABASE_SERVICE_KEY", "REDIS_HOST"):
        assert name in message
    assert "JWT_SECRET: must have at least 32 bytes" in message
    assert "REDIS_PORT" in message
    assert ".env.example" in message
    for value in ("not an address", "too-short", "many"):
        assert value not in message


def test_the_environment_wins_over_the_file(environment, tmp_path):
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in GOOD.items()) + "API_PORT=1\n")
    environment(API_PORT="2")
    assert load_settings(file).api_port == 2


LOCAL = {
    "SUPABASE_URL": "http://127.0.0.1:54321",
    "SUPABASE_KEY": "public",
    "SUPABASE_SERVICE_KEY": "secret",
    "REDIS_HOST": "localhost",
}


@pytest.mark.parametrize(
    ("elsewhere", "meaning"),
    [
        ({}, "development"),
        ({"BROKER_HOST": "::1", "API_HOST": "localhost"}, "development"),
        ({"SUPABASE_URL": "https://project.supabase.co"}, "production"),
        ({"REDIS_HOST": "cache"}, "production"),
        ({"BROKER_HOST": "10.0.0.4"}, "production"),
        ({"API_HOST": "0.0.0.0"}, "production"),
        ({"REDIS_SENTINELS": "one.example:26379", "BROKER_HOST": "localhost"}, "production"),
    ],
)
def test_s8_a_missing_app_env_is_production_unless_all_is_on_this_machine(
    environment, elsewhere, meaning
):
    environment(**LOCAL | elsewhere)
    settings = load_settings(NO_FILE)
    assert settings.app_env == meaning
    assert settings.app_env_is_assumed is (meaning == "production")
    environment(APP_ENV="development")
    assert load_settings(NO_FILE).app_env == "development"
    environment(APP_ENV="production")
    assert load_settings(NO_FILE).app_env_is_assumed is False


def test_origins_are_kept_as_browsers_send_them(environment):
    environment(
        **GOOD,
        CORS_ORIGINS="HTTPS://App.Example.com/ http://b.example:80 https://c.example:8443 "
        "http://[::1]:3000 capacitor://localhost *",
    )
    assert load_settings(NO_FILE).cors_origins == [
        *("https://app.example.com", "http://b.example", "https://c.example:8443"),
        *("http://[::1]:3000", "capacitor://localhost", "*"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        *("null", "NULL", "https://*", "https://*.example.com", "app.example.com", "//a.example"),
        *("https://a.example/path", "https://a.example//", "https://a.example/?a=b", "https://"),
        *("https://user@a.example", "https://größe.example", "https://a.example:x", "http://[::1"),
        *("https://a.example?", "https://a.example#"),
    ],
)
def test_s8_an_origin_that_no_browser_sends_is_named_without_its_value(environment, value):
    environment(**GOOD, CORS_ORIGINS=f"https://good.example {value}")
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS\.1: must ") as raised:
        load_settings(NO_FILE)
    assert f"{value}\n" not in str(raised.value)


@pytest.mark.parametrize(
    "value", ["nobody", "B <b@example.com>", "b@example.com, c@example.com", "größe@example.com"]
)
@pytest.mark.parametrize("name", ["MAIL_RETURN_PATH", "MAIL_UNSUBSCRIBE"])
def test_an_address_of_mails_stands_alone(environment, name, value):
    environment(**GOOD, **{name: value})
    with pytest.raises(SettingsError, match=f"{name}: must be an address alone") as raised:
        load_settings(NO_FILE)
    assert value not in str(raised.value)
    environment(**GOOD, **{name: "bounces@example.com"})
    assert getattr(load_settings(NO_FILE), name.lower()) == "bounces@example.com"


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        ("Acme API", "Acme API <no-reply@localhost>"),
        ("Acme, Inc.", '"Acme, Inc." <no-reply@localhost>'),
        ("Größe", "Größe <no-reply@localhost>"),
    ],
)
def test_mails_come_from_the_applications_name(environment, name, sender):
    environment(**GOOD, APP_NAME=name)
    assert load_settings(NO_FILE).mail_from == sender


@pytest.mark.parametrize("name", ["Acme\nInc", "a" * 81])
def test_a_name_that_is_not_one_short_line_is_named_alone(environment, name):
    environment(**GOOD, APP_NAME=name)
    with pytest.raises(SettingsError) as raised:
        load_settings(NO_FILE)
    assert "APP_NAME" in str(raised.value)
    assert "MAIL_FROM" not in str(raised.value)


def test_lists_are_written_with_commas_or_blanks(environment):
    environment(**GOOD, CORS_ORIGINS="https://a.example, https://b.example")
    assert load_settings(NO_FILE).cors_origins == ["https://a.example", "https://b.example"]


def test_sentinels_are_hosts_with_ports(environment):
    environment(
        **GOOD, BROKER_HOST="broker", REDIS_SENTINELS="one.example:26379, [2001:db8::1]:26380"
    )
    found = load_settings(NO_FILE).redis_sentinels
    assert [host_and_port(one) for one in found] == [
        ("one.example", 26379),
        ("2001:db8::1", 26380),
    ]


@pytest.mark.parametrize(
    "value",
    [
        *("a.example", "a.example:", "a.example:0", "a.example:65536", ":26380", "[::1:26379"),
        *("redis://a.example:26379", "user:secret@a.example:26379", "a.example:26379/0", "a:b:1"),
    ],
)
def test_a_sentinel_that_is_no_address_is_named_without_its_value(environment, value):
    environment(**GOOD, BROKER_HOST="broker", REDIS_SENTINELS=f"good.example:26379 {value}")
    with pytest.raises(
        SettingsError, match=r"REDIS_SENTINELS\.1: must be like: host:26379"
    ) as raised:
        load_settings(NO_FILE)
    assert value not in str(raised.value)


def test_jobs_need_a_broker_that_is_named_where_the_cache_is_found_by_sentinels(environment):
    environment(**GOOD, REDIS_SENTINELS="one.example:26379")
    with pytest.raises(SettingsError, match="BROKER_HOST must be set"):
        load_settings(NO_FILE)


def test_no_secret_shows_in_a_repr(environment):
    environment(**GOOD, JWT_SECRET="s" * 40, REDIS_PASSWORD="hidden")
    text = repr(load_settings(NO_FILE))
    assert "s" * 40 not in text
    assert "hidden" not in text


def test_the_example_explains_every_setting_and_no_other():
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", text, flags=re.MULTILINE))
    fields = {name.upper() for name in Settings.model_fields} - {"RATE_LIMITS"}
    fields = fields.union(*(kind.variables() for kind in own_settings(discover())))
    of_others = {name for name in named - fields if name.startswith(("DEVSTACK_", "RATE_LIMIT_"))}
    # The explanations of a removed slice may stay.
    of_removed = named - fields if shipped.SLICES - discover().keys() else set()
    assert named - of_others - of_removed == fields


def test_cursors_are_signed_with_their_own_secret_or_the_service_key(environment):
    service = GOOD["SUPABASE_SERVICE_KEY"]
    environment(**GOOD)
    assert load_settings(NO_FILE).cursor_secrets == (service,)
    environment(**GOOD, CURSOR_SECRET_PREVIOUS="p" * 40)
    assert load_settings(NO_FILE).cursor_secrets == (service, "p" * 40)
    environment(**GOOD, CURSOR_SECRET="s" * 40, CURSOR_SECRET_PREVIOUS="p" * 40)
    assert load_settings(NO_FILE).cursor_secrets == ("s" * 40, "p" * 40)


def test_a_short_secret_of_cursors_is_refused(environment):
    environment(**GOOD, CURSOR_SECRET="short")
    with pytest.raises(SettingsError, match="CURSOR_SECRET: must have at least 32 bytes"):
        load_settings(NO_FILE)
