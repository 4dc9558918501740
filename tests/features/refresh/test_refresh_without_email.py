"""O19: users without an e-mail address go on with their session."""


async def test_o19_a_session_without_an_address_goes_on(anonymous, without_email):
    body = {"refresh_token": without_email.refresh_token}
    answer = await anonymous.post("/auth/refresh", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["user"]["email"] is None
