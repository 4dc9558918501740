"""`./app user promote EMAIL`, with this worker's stack."""

from functools import partial

import jwt
import pytest

from devstack import StackFolder
from kernel.config.settings import Settings, SettingsError
from kit.people import PASSWORD, new_email
from kit.process import environment


@pytest.fixture
def user(operator):
    """Runs `./app user …`."""
    return partial(operator, "user")


async def new_token(supabase, person):
    body = {"email": person.email, "password": PASSWORD}
    session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    return session.raise_for_status().json()["access_token"]


async def role_after_login(supabase, person):
    claims = jwt.decode(await new_token(supabase, person), options={"verify_signature": False})
    return claims["app_metadata"].get("role")


async def test_a_promoted_user_is_an_admin_from_the_next_login_on(
    user, author, supabase, client_for
):
    found = await user("promote", author.email.upper())
    assert found.exit_code == 0, found.output
    assert (await author.get("/rule")).status_code == 403
    assert await role_after_login(supabase, author) == "admin"
    async with client_for(await new_token(supabase, author)) as client:
        assert (await client.get("/rule")).status_code == 200


async def test_a_promoted_user_is_an_admin_from_the_next_refresh_on(user, author, supabase):
    await user("promote", author.email)
    body = {"refresh_token": author.refresh_token}
    session = await supabase.post("/auth/v1/token?grant_type=refresh_token", json=body)
    claims = jwt.decode(session.json()["access_token"], options={"verify_signature": False})
    assert claims["app_metadata"]["role"] == "admin"


async def test_a_promotion_is_taken_back_by_a_demotion(user, author, supabase, database):
    await user("promote", author.email)
    token = await new_token(supabase, author)
    found = await user("demote", author.email)
    assert found.exit_code == 0
    headers = {"Authorization": f"Bearer {token}"}
    assert (await supabase.get("/rest/v1/profiles", headers=headers)).status_code == 401
    assert await role_after_login(supabase, author) is None
    query = "select action, actor_id, details from audit.entries where user_id = $1 order by id"
    entries = await database.fetch(query, author.id)
    actions = [entry["action"] for entry in entries if entry["action"].startswith("user_")]
    assert actions == ["user_promoted", "user_demoted"]
    assert entries[0]["actor_id"] is None


@pytest.mark.parametrize("command", ["promote", "demote"])
async def test_an_unknown_address_is_one_sentence_and_exit_code_1(user, command):
    email = new_email()
    found = await user(command, email)
    assert found.exit_code == 1
    assert found.output == f"There is no account with the address {email}.\n"


async def test_a_supabase_that_is_away_is_one_sentence(user, author, monkeypatch):
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    found = await user("promote", author.email)
    assert found.exit_code == 1
    assert "http://127.0.0.1:9 does not answer" in found.output


async def test_a_wrong_service_key_is_one_sentence(user, author, monkeypatch, stack):
    for key in (stack.gateway.anon_key, "sb_secret_nonsense"):
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", key)
        found = await user("promote", author.email)
        assert found.exit_code == 1
        assert "SUPABASE_SERVICE_KEY" in found.output
        assert key not in found.output
        assert len(found.output.splitlines()) == 1


@pytest.fixture
def without_settings(user, monkeypatch):
    """The same, without any setting."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return user


async def test_without_settings_it_takes_the_stack_that_runs_here(
    without_settings, author, supabase, stack, tmp_path
):
    folder = StackFolder(tmp_path)
    folder.make()
    with folder.locked():
        folder.write_values(environment(stack))
        found = await without_settings("promote", author.email)
    assert found.exit_code == 0, found.output
    assert stack.supabase_url in found.stderr  # stdout is for what was asked, for example JSON
    assert stack.supabase_url not in found.stdout
    assert await role_after_login(supabase, author) == "admin"


async def test_without_settings_and_stack_the_missing_settings_are_named(without_settings, author):
    found = await without_settings("promote", author.email)
    assert isinstance(found.exception, SettingsError)  # cli.main turns it into one message


async def test_with_wrong_settings_the_local_stack_is_not_used(
    without_settings, author, stack, tmp_path, monkeypatch
):
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co")
    folder = StackFolder(tmp_path)
    folder.make()
    with folder.locked():
        folder.write_values(environment(stack))
        found = await without_settings("promote", author.email)
    assert isinstance(found.exception, SettingsError)
