"""The policies of a slice: its Feature declares them, RATE_LIMIT_<SLICE> changes them."""

import os
import re
from pathlib import Path

import pytest
from fastapi import APIRouter

from kernel import Feature, Limit
from kernel.boot.discovery import discover
from kernel.config.rates import Rate
from kernel.config.settings import Settings, SettingsError, load_settings
from kernel.edge.policies import PolicyTable

ROOT = Path(__file__).parents[3]
NO_FILE = Path(os.devnull)


def routed(*limits: Limit, **options) -> Feature:
    return Feature(router=APIRouter(), limits=limits, **options)


@pytest.fixture
def environment(monkeypatch):
    for name in [*map(str.upper, Settings.model_fields), *os.environ]:
        if name.startswith("RATE_LIMIT") or name.lower() in Settings.model_fields:
            monkeypatch.delenv(name, raising=False)
    for name in ("SUPABASE_KEY", "SUPABASE_SERVICE_KEY", "REDIS_HOST"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1")
    return monkeypatch


def rates(table: PolicyTable, feature: str | None) -> dict[str, str]:
    found = table.of(feature)
    return {policy.name: str(policy.rate) for policy in found.policies} if found else {}


def test_a_slices_own_limit_counts_in_addition_to_the_default(environment):
    features = {"login": routed(Limit("10/minute")), "get_post": routed()}
    table = PolicyTable(features, load_settings(NO_FILE))
    assert rates(table, "login") == {"default": "100/minute", "login": "10/minute"}
    assert rates(table, "get_post") == rates(table, None) == {"default": "100/minute"}


def test_r8_a_slice_that_is_not_limited_has_no_policy(environment):
    table = PolicyTable({"health": routed(limited=False)}, load_settings(NO_FILE))
    assert table.of("health") is None


def test_s1_a_slices_own_limit_is_ten_times_as_wide_for_a_network_of_ipv6(environment):
    features = {"login": routed(Limit("10/minute")), "get_post": routed()}
    table = PolicyTable(features, load_settings(NO_FILE))

    def names(feature, subject):
        found = table.of(feature, subject)
        assert found is not None
        return {one.name: str(one.rate) for one in found.policies}

    assert "login_network" not in names("login", "203.0.113.7")
    assert names("login", "2001:db8:0:1::/64")["login_network"] == "100/minute"
    assert names("get_post", "2001:db8:0:1::/64") == {"default": "100/minute"}


def test_a_copied_folder_has_limits_of_its_own(environment):
    limits = Limit("10/minute"), Limit("20/15 minutes", per="account")
    table = PolicyTable(
        {"login": routed(*limits), "login_copy": routed(*limits)}, load_settings(NO_FILE)
    )
    assert list(rates(table, "login_copy")) == ["default", "login_copy"]
    assert [one.name for one in table.by_account["login"].policies] == ["login_account"]
    assert [one.name for one in table.by_account["login_copy"].policies] == ["login_copy_account"]


def test_settings_change_what_is_declared(environment):
    environment.setenv("RATE_LIMIT_DEFAULT", "7/second")
    environment.setenv("RATE_LIMIT_FALLBACK", "3/second")
    environment.setenv("RATE_LIMIT_LOGIN", "2/hour")
    environment.setenv("RATE_LIMIT_LOGIN_ACCOUNT", "1/30 minutes")
    environment.setenv("RATE_LIMIT_GET_POST", "60/minute")
    features = {
        "login": routed(Limit("10/minute"), Limit("20/15 minutes", per="account")),
        "get_post": routed(),
    }
    table = PolicyTable(features, load_settings(NO_FILE))
    assert rates(table, "login") == {"default": "7/second", "login": "2/hour"}
    assert rates(table, "get_post") == {"default": "7/second", "get_post": "60/minute"}
    assert str(table.by_account["login"].policies[0].rate) == "1/30 minutes"
    found = table.of("login")
    assert found is not None
    alone = {policy.name: str(policy.rate) for policy in found.alone.policies}
    assert alone == {"default": "3/second", "login": "2/hour"}


def test_the_environment_wins_over_the_file_here_too(environment, tmp_path):
    file = tmp_path / ".env"
    file.write_text("RATE_LIMIT_LOGIN=1/minute\nRATE_LIMIT_SIGNUP=2/minute\n")
    environment.setenv("RATE_LIMIT_LOGIN", "3/minute")
    assert load_settings(file).rate_limits == {"login": Rate(3, 60), "signup": Rate(2, 60)}


@pytest.mark.parametrize("name", ["RATE_LIMIT_LOGN", "RATE_LIMIT_HEALTH", "RATE_LIMIT_CLEAN_UP"])
def test_a_limit_of_no_slice_stops_the_start_with_one_sentence(environment, name):
    environment.setenv(name, "1/minute")
    features = {
        "login": routed(Limit("10/minute")),
        "health": routed(limited=False),
        "clean_up": Feature(),
    }
    with pytest.raises(SettingsError) as raised:
        PolicyTable(features, load_settings(NO_FILE))
    message = str(raised.value)
    assert message == (
        f"There is no such limit: {name}. "
        "There are: RATE_LIMIT_DEFAULT, RATE_LIMIT_FALLBACK, RATE_LIMIT_REAUTHENTICATION, "
        "RATE_LIMIT_LOGIN."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT_DEFAULT", "secret"),
        ("RATE_LIMIT_LOGIN", "secret"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_without_its_value(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings(NO_FILE)
    assert name in str(raised.value)
    assert value not in str(raised.value)


def test_trusted_proxies_are_written_with_commas_or_blanks(environment):
    assert load_settings(NO_FILE).trusted_proxies == []
    environment.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1 2001:db8::/32")
    found = [str(network) for network in load_settings(NO_FILE).trusted_proxies]
    assert found == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]


def test_the_example_shows_what_the_slices_declare():
    text = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^# (RATE_LIMIT_\w+)=(.+)$", text, flags=re.MULTILINE))
    for name, feature in discover().items():
        for limit in feature.limits:
            setting = f"RATE_LIMIT_{limit.name(name).upper()}"
            assert shown.get(setting, str(limit.rate)) == str(limit.rate)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Feature(limits=(Limit("1/minute"),)),
        lambda: routed(Limit("1/minute"), limited=False),
        lambda: routed(Limit("1/minute"), Limit("9/hour")),
        lambda: routed(Limit("1/minute", per="account"), Limit("9/hour", per="account")),
        lambda: Limit("often"),
    ],
)
def test_limits_that_nothing_could_count_are_refused(declare):
    with pytest.raises(ValueError, match=r"limit|must"):
        declare()
