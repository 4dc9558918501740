"""`./app config check`, and the production processes that refuse the same settings."""

import asyncio
import sys

import pytest
from typer.testing import CliRunner

from cli import app
from kernel.config.settings import Settings
from kit.process import ROOT, environment

GOOD = {
    "APP_ENV": "production",
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_KEY": "sb_publishable_hT3uYb8KqzW0nXf5_RmJ2cVd7-LgAe4",
    "SUPABASE_SERVICE_KEY": "sb_secret_2cVd7-LgAe4hT3uYb8KqzW0nXf5_RmJ",
    "REDIS_HOST": "127.0.0.1",
    "BROKER_HOST": "127.0.0.1",
    "SMTP_HOST": "smtp.example.com",
    "MAIL_FROM": "Slices <no-reply@example.com>",
    "APP_URL": "https://app.example.com",
    "ALLOWED_HOSTS": "api.example.com",
}


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Runs the command with only these settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "none"))

    def run(*options: str, **changes: str):
        options = options or ("--no-project",)  # the project does not exist
        for name, value in (GOOD | changes).items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, ["config", "check", *options])

    return run


def keys(stack):
    """The keys of the project that the check queries."""
    return {
        "JWT_SECRET": stack.gateway.jwt_secret,
        "SUPABASE_KEY": stack.gateway.anon_key,
        "SUPABASE_SERVICE_KEY": stack.gateway.service_key,
    }


def test_good_settings_are_one_line_and_exit_code_0(check):
    found = check()
    assert found.exit_code == 0
    assert found.output == "The settings are fit for production.\n"


def test_warnings_alone_are_exit_code_0(check):
    found = check(DOCS_ENABLED="true", ALLOWED_HOSTS="*")
    assert found.exit_code == 0
    assert "DOCS_ENABLED" in found.output
    assert "ALLOWED_HOSTS" in found.output


def test_errors_are_exit_code_1_all_at_once_and_without_a_value(check):
    found = check(BROKER_HOST="", SUPABASE_SERVICE_KEY="hunter2", CORS_ORIGINS="*", MAIL_FROM="")
    assert found.exit_code == 1
    for name in ("BROKER_HOST", "SUPABASE_SERVICE_KEY", "CORS_ORIGINS", "MAIL_FROM"):
        assert f"  {name} " in found.output
    assert "hunter2" not in found.output


def test_outside_production_it_says_what_it_did_not_check(check):
    found = check(APP_ENV="development", BROKER_HOST="", SUPABASE_URL="http://127.0.0.1:54321")
    assert found.exit_code == 0
    assert "APP_ENV=production ./app config check" in found.output


def test_s1_s4_a_project_is_queried_and_unknown_settings_are_named(
    check, stack, confirming_supabase_url
):
    own = {"APP_ENV": "development", **keys(stack)}
    lax = check("--project", SUPABASE_URL=stack.supabase_url, **own)
    assert "enable_confirmations is off" in lax.output
    careful = check("--project", SUPABASE_URL=confirming_supabase_url, **own)
    assert "enable_confirmations" not in careful.output
    for setting in ("double_confirm_changes", "secure_password_change", "otp_length", "otp_expiry"):
        assert f"{setting} = " in careful.output


def test_o21_a_setting_of_another_project_is_named(check, stack):
    own = {"APP_ENV": "development", "SUPABASE_URL": stack.supabase_url, **keys(stack)}
    other = check("--project", **own, JWT_ISSUER="https://elsewhere.example.com")
    assert other.exit_code == 1
    assert "  JWT_ISSUER is not the issuer of the project's tokens" in other.output
    public = own | {"SUPABASE_SERVICE_KEY": stack.gateway.anon_key}
    for option in ("--project", "--no-project"):
        misplaced = check(option, **public)
        assert misplaced.exit_code == 1
        assert misplaced.output.count("  SUPABASE_SERVICE_KEY is no secret key") == 1


def test_a_project_that_does_not_answer_is_exit_code_1(check, unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    found = check("--project", APP_ENV="development", SUPABASE_URL=url)
    assert found.exit_code == 1
    assert "SUPABASE_URL does not lead" in found.output


def test_s8_production_asks_its_project_by_itself(check, stack, confirming_supabase_url):
    own = {"LOG_LEVEL": "INFO", **keys(stack)}
    for url, expected in ((stack.supabase_url, True), (confirming_supabase_url, False)):
        found = check("--", SUPABASE_URL=url, **own)
        assert ("enable_confirmations is off" in found.output) is expected
        assert "otp_length = 10" in found.output


def test_s8_a_missing_app_env_is_one_line(check):
    found = check(APP_ENV="")
    assert found.exit_code == 0
    assert found.output.count("APP_ENV is missing, and not all is on this machine") == 1
    refused = check(APP_ENV="", SMTP_HOST="")
    assert refused.exit_code == 1
    assert "APP_ENV is missing" in refused.output
    assert "APP_ENV is development" in check(APP_ENV="", SUPABASE_URL="http://127.0.0.1:1").output


async def test_s8_a_process_that_misses_app_env_refuses_what_production_refuses(stack):
    env = environment(stack, SUPABASE_URL="http://project.example.com")
    for command in ("api", "worker", "relay", "beat"):
        code, refused = await _run(env, command)
        assert code == 1
        assert refused.startswith("The settings are not safe:")
        assert "APP_ENV is missing, and not all is on this machine" in refused
    code, refused = await _run(environment(stack), "api --host 0.0.0.0")
    assert code == 1
    assert "APP_ENV is missing" in refused


async def test_production_processes_refuse_them_in_the_words_of_the_check(stack):
    env = environment(stack, APP_ENV="production")
    words = ["config check --no-project", "api", "worker", "relay", "beat"]
    code, checked = await _run(env, words[0])
    assert code == 1
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "JWT_SECRET", "SMTP_HOST"):
        assert f"  {name} " in checked
    assert stack.gateway.jwt_secret not in checked
    assert stack.gateway.service_key not in checked
    for command in words[1:]:
        code, refused = await _run(env, command)
        assert code == 1
        assert refused.startswith("The settings are not safe:")
        assert checked.startswith(refused)


async def _run(env: dict[str, str], words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words.split()),
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output.decode()
