"""O19: users without an e-mail address, as they see themselves and as admins see them."""


async def test_o19_the_address_is_null_for_owner_and_admin(without_email, admin):
    for reader in (without_email, admin):
        answer = await reader.get(f"/users/{without_email.id}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["email"] is None
