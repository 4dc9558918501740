import pytest


@pytest.mark.parametrize(
    ("scope", "left"),
    [("local", [False, True]), ("others", [True, False]), ("global", [False, False])],
)
async def test_a2_a_logout_counts_at_once_on_every_replica(whole_fleet, scope, left):
    _, tokens = await whole_fleet.person(sessions=2)
    assert [await whole_fleet.alive(token) for token in tokens] == [True, True]
    answer = await whole_fleet.call(tokens[0], "POST", "/auth/logout", json={"scope": scope})
    assert answer.status_code == 204
    assert [await whole_fleet.alive(token) for token in tokens] == left
