"""`./app seed`: users who can log in, and rows; on this machine only."""

import re

import pytest


@pytest.fixture
def seeded(operator, monkeypatch, own_database):
    """Runs `./app seed …` with a database of its own."""
    config = own_database.gateway.config
    monkeypatch.setenv("DATABASE_URL", own_database.url)
    monkeypatch.setenv("SUPABASE_URL", own_database.gateway.url)
    monkeypatch.setenv("SUPABASE_KEY", config.anon_key)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", config.service_key)
    return lambda *words: operator("seed", *words)


def people_in(output):
    return re.findall(r"^(\w+@seed\.example) +(\S{16})$", output, re.MULTILINE)


async def status_of_login(supabase, own_database, email, password):
    url = f"{own_database.gateway.url}/auth/v1/token?grant_type=password"
    headers = {"apikey": own_database.gateway.config.anon_key}
    body = {"email": email, "password": password}
    return (await supabase.post(url, json=body, headers=headers)).status_code


async def test_users_can_log_in_and_have_posts(seeded, own_database, supabase):
    found = await seeded("--rows", "20")
    assert found.exit_code == 0, found.output
    first = people_in(found.output)
    assert len(first) == 5
    assert await status_of_login(supabase, own_database, *first[0]) == 200
    rows = await own_database.sql.fetch(
        "select published, count(*) from public.posts group by published"
    )
    assert {row["published"]: row["count"] for row in rows} == {True: 18, False: 2}
    assert await own_database.events("post_published") == []
    assert len(await own_database.events("post_changed")) == 1

    again = people_in((await seeded("--rows", "5")).output)
    assert [email for email, _ in again] == [email for email, _ in first]
    assert await status_of_login(supabase, own_database, *again[0]) == 200
    assert await status_of_login(supabase, own_database, *first[0]) == 400
    assert await own_database.sql.fetchval("select count(*) from public.posts") == 25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "https://project.supabase.co"),
        ("DATABASE_URL", "postgresql://postgres:secret@db.project.supabase.co/postgres"),
        ("APP_ENV", "production"),
    ],
)
async def test_servers_of_others_are_refused_before_anything_is_sent(
    seeded, monkeypatch, own_database, name, value
):
    users = "select count(*) from auth.users"
    before = await own_database.sql.fetchval(users)
    monkeypatch.setenv(name, value)
    found = await seeded()
    assert found.exit_code == 1
    assert found.output.startswith("Example rows are for a local stack only")
    assert "secret" not in found.output
    assert await own_database.sql.fetchval(users) == before
