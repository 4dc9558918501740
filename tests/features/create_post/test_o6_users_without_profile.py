"""O6: users who were imported without triggers get a profile at their next login."""

from kit.people import PASSWORD


async def test_o6_a_user_without_profile_posts_after_the_next_login(
    author, database, supabase, client_for
):
    await database.execute("delete from public.profiles where id = $1", author.id)
    body = {"email": author.email, "password": PASSWORD}
    session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    async with client_for(session.raise_for_status().json()["access_token"]) as me:
        body = {"title": "A title", "content": "", "published": True}
        assert (await me.post("/posts", json=body)).status_code == 201
