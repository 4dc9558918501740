"""A user cannot cause a token that is too long for servers to accept."""

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
