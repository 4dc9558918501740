from kit.attacks import spellings


async def test_a12_it_deletes_nobody_else(stranger, author, rows):
    before = await rows()
    for user_id in spellings(author.id):
        assert (await stranger.delete(f"/users/{user_id}")).status_code == 403
    assert await rows() == before


async def test_a12_nobody_is_an_admin_by_metadata_of_ones_own(attacker, stranger, author):
    await attacker.put("/auth/v1/user", json={"data": {"role": "admin"}})
    assert (await stranger.delete(f"/users/{author.id}")).status_code == 403
