from kit.people import PASSWORD

NEW = "another horse 10"


async def test_a2_a_password_change_counts_at_once_on_every_replica(whole_fleet):
    _, tokens = await whole_fleet.person(sessions=3)
    body = {"current_password": PASSWORD, "password": NEW}
    answer = await whole_fleet.call(tokens[0], "POST", "/users/me/password", json=body)
    assert answer.status_code == 204
    assert [await whole_fleet.alive(token) for token in tokens] == [True, False, False]
