async def test_a12_metadata_of_ones_own_shows_nowhere(attacker, stranger, anonymous):
    await attacker.put("/auth/v1/user", json={"data": {"display_name": "root", "id": "1"}})
    before = (await stranger.get("/whoami/stored")).json()["data"]
    body = {"email": stranger.email, "password": stranger.password}
    session = (await anonymous.post("/auth/login", json=body)).json()["data"]
    assert session["user"] == before
    assert before["display_name"] == stranger.display_name


async def test_s11_a_callers_request_id_is_not_ours_in_the_audit_log(anonymous, author, database):
    sent = "0123456789abcdef-of-somebody-else"
    body = {"email": author.email, "password": "wrong horse 9"}
    answer = await anonymous.post("/auth/login", json=body, headers={"X-Request-ID": sent})
    query = "select action from audit.entries where request_id = $1"
    assert await database.fetchval(query, sent) is None
    assert await database.fetchval(query, answer.headers["x-request-id"]) == "login_failed"
