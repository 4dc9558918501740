import pytest

from kit.attacks import UNTOUCHABLE, field_of, spellings


@pytest.mark.parametrize("field", UNTOUCHABLE, ids=field_of)
async def test_a12_it_takes_no_field_that_is_not_the_callers(stranger, rows, field):
    before = await rows()
    url, body = f"/users/{stranger.id}", {"display_name": "Mallory"}
    assert (await stranger.put(url, json=body | field)).status_code == 422
    assert await rows() == before


async def test_a12_it_changes_nobody_else(stranger, author, rows):
    before = await rows()
    for user_id in spellings(author.id):
        changed = await stranger.put(f"/users/{user_id}", json={"display_name": "Mallory"})
        assert changed.status_code == 403
    query = {"user_id": str(stranger.id)}
    changed = await stranger.put(f"/users/{author.id}", json={"display_name": "M"}, params=query)
    assert changed.status_code == 403
    assert await rows() == before
