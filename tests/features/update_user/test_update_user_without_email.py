"""O19: users without an e-mail address change their name, and ask for an address."""

from kit.people import new_email


async def test_o19_a_name_and_an_address(without_email, database):
    url, email = f"/users/{without_email.id}", new_email()
    renamed = await without_email.put(url, json={"display_name": "Ada"})
    assert renamed.status_code == 200, renamed.text
    assert renamed.json()["data"]["email"] is None
    asked = await without_email.put(url, json={"email": email})
    assert asked.status_code == 200, asked.text
    query = "select email from identity.mail_requests where user_id = $1"
    assert await database.fetchval(query, without_email.id) == email


async def test_o19_a_second_factor_does_not_stop_a_change_of_address(author, with_second_factor):
    await with_second_factor(author)
    answer = await author.put(f"/users/{author.id}", json={"email": new_email()})
    assert answer.status_code == 200, answer.text
