"""A user cannot cause a token that is too long for servers to accept."""

import json

import pytest
from asyncpg import CheckViolationError

from kit.people import PASSWORD, new_email

LONG = {"about": "x" * 40_000}


async def test_s11_user_metadata_cannot_make_a_token_too_long_for_a_header(
    author, supabase, client_for
):
    headers = {"Authorization": f"Bearer {author.token}"}
    for data in (LONG, {f"field_{number}": "x" * 100 for number in range(50)}):
        refused = await supabase.put("/auth/v1/user", json={"data": data}, headers=headers)
        assert not refused.is_success
    taken = await supabase.put(
        "/auth/v1/user", json={"data": {"about": "x" * 3000}}, headers=headers
    )
    taken.raise_for_status()
    body = {"email": author.email, "password": PASSWORD}
    again = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    token = again.raise_for_status().json()["access_token"]
    assert len(token) < 8000
    async with client_for(token) as client:
        assert (await client.get("/whoami/stored")).status_code == 200


async def test_s11_user_metadata_of_a_sign_up_cannot_either(supabase):
    body = {"email": new_email(), "password": PASSWORD, "data": LONG}
    assert not (await supabase.post("/auth/v1/signup", json=body)).is_success


@pytest.mark.parametrize("letter", ["x", "<", "\x7f", "é", "漢", "😀"])
async def test_s11_no_character_makes_more_of_a_token_than_is_counted(
    author, supabase, database, letter
):
    query = "update auth.users set raw_user_meta_data = $2::jsonb where id = $1"
    longest = 0
    for number in (100, 300, 600, 1000, 2000, 4000, 5000):
        try:
            await database.execute(query, author.id, json.dumps({"about": letter * number}))
        except CheckViolationError:
            break
        longest = number
    assert 0 < longest < 5000
    await database.execute(query, author.id, json.dumps({"about": letter * longest}))
    body = {"email": author.email, "password": PASSWORD}
    again = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    token = again.raise_for_status().json()["access_token"]
    # Auth also escapes "<"; the local gateway does not.
    escaped = json.dumps(letter).replace("<", "\\u003c")
    assert len(token) < 8000
    assert longest * (len(escaped) - 2) <= 4096
