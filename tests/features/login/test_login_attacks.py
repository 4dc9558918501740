async def test_a12_metadata_of_ones_own_shows_nowhere(attacker, stranger, anonymous):
    await attacker.put("/auth/v1/user", json={"data": {"display_name": "root", "id": "1"}})
    before = (await stranger.get("/whoami/stored")).json()["data"]
    body = {"email": stranger.email, "password": stranger.password}
    session = (await anonymous.post("/auth/login", json=body)).json()["data"]
    assert session["user"] == before
    assert before["display_name"] == stranger.display_name
