"""A profile is only read by its id: nobody can list all users."""


async def test_s11_profiles_are_not_listed_past_the_api(attacker, author, stranger, supabase):
    listing = "/rest/v1/profiles?select=id,display_name"
    for query in ("", f"&id=eq.{author.id}", "&order=created_at", "&display_name=like.*"):
        rows = (await attacker.get(listing + query)).raise_for_status().json()
        assert {row["id"] for row in rows} <= {str(stranger.id)}
    counted = await attacker.get(listing, headers={"Prefer": "count=exact"})
    assert counted.headers["content-range"].endswith("/1")
    assert (await supabase.get(listing)).status_code in {401, 403}  # without a token
    embedded = await attacker.get("/rest/v1/posts?select=id,profiles(display_name)")
    if embedded.is_success:
        assert all(row["profiles"] is None for row in embedded.json())


async def test_a_profile_is_readable_by_its_id(attacker, author):
    found = await attacker.post("/rest/v1/rpc/profile", json={"user_id": str(author.id)})
    assert found.json()[0]["display_name"] == author.display_name
    assert set(found.json()[0]) == {"id", "display_name", "created_at"}
