"""O6: a row of auth.users that was written past Supabase Auth may lack its time."""


async def test_o6_a_user_without_a_time_is_shown_with_the_profiles(author, admin, database):
    change = "update auth.users set created_at = null, updated_at = null where id = $1"
    await database.execute(change, author.id)
    for reader in (author, admin):
        answer = await reader.get(f"/users/{author.id}")
        assert answer.status_code == 200
        assert answer.json()["data"]["created_at"] is not None
