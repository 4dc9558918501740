"""A12: only an admin changes the settings, and no role adds or removes rows."""

import asyncpg
import jwt
import pytest

from kernel.supabase.http import bearer
from kit.people import PASSWORD

SETTINGS = {"site_name": "Mallory's", "announcement": "Hi", "signups_open": False}


@pytest.mark.parametrize("who", ["anon", "a user", "a user whose own metadata says admin"])
async def test_a12_nobody_but_an_admin_changes_the_settings(
    attacker, supabase, stranger, database, who
):
    query = "select to_jsonb(s) from public.settings s"
    before = await database.fetch(query)
    client = supabase if who == "anon" else attacker
    if who == "a user whose own metadata says admin":
        metadata = {"role": "admin", "app_metadata": {"role": "admin"}}
        await attacker.put("/auth/v1/user", json={"data": metadata})
        body = {"email": stranger.email, "password": PASSWORD}
        session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
        token = session.raise_for_status().json()["access_token"]
        assert (
            jwt.decode(token, options={"verify_signature": False})["user_metadata"].items()
            >= metadata.items()
        )
        attacker.headers["Authorization"] = f"Bearer {token}"
    url = "/rest/v1/settings"
    for target in (f"{url}?id=eq.global", f"{url}?id=neq.other"):
        for name, value in SETTINGS.items():
            answer = await client.patch(target, json={name: value})
            assert answer.status_code == 401 if who == "anon" else answer.json() == []
        assert (await client.patch(target, json={"id": "other"})).status_code in {401, 403}
        assert (await client.delete(target)).status_code in {401, 403}
    for headers in ({}, {"Prefer": "resolution=merge-duplicates"}):
        for row in ({"id": "global"} | SETTINGS, {"id": "other"}, {}):
            answer = await client.post(url, json=row, headers=headers)
            assert answer.status_code in {401, 403}
    assert await database.fetch(query) == before


async def test_a12_not_even_the_service_adds_or_removes_settings(supabase, stack, database):
    headers = bearer(stack.gateway.service_key)
    url = "/rest/v1/settings"
    assert (await supabase.delete(f"{url}?id=eq.global", headers=headers)).status_code == 403
    assert (await supabase.post(url, json={"id": "other"}, headers=headers)).status_code == 403
    for statement in ("delete from public.settings", "truncate public.settings"):
        with pytest.raises(asyncpg.RaiseError, match="exactly one row"):
            await database.execute(statement)
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("insert into public.settings (id) values ('other')")
