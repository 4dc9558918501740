"""O6: users who were imported without triggers get a profile at their next login."""

from kit.people import PASSWORD


async def test_o6_a_user_without_profile_is_renamed_after_the_next_login(
    author, database, supabase, client_for
):
    await database.execute("delete from public.profiles where id = $1", author.id)
    body = {"email": author.email, "password": PASSWORD}
    session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    async with client_for(session.raise_for_status().json()["access_token"]) as me:
        assert (await me.get("/whoami/stored")).json()["data"]["display_name"] == (
            author.display_name
        )
        answer = await me.put(f"/users/{author.id}", json={"display_name": "Ada"})
    assert answer.status_code == 200
    assert answer.json()["data"]["display_name"] == "Ada"
