import pytest

from kit.outside_edits import api_and_relay, assert_edit_shows, cached, fresh, reader

pytestmark = pytest.mark.slow


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(whole_system):
    author, _ = await whole_system.author()
    _, token = await whole_system.author()
    statement = "update public.profiles set display_name = 'Edited'"
    await assert_edit_shows(
        whole_system, f"/users/{author}", statement, "display_name", "Edited", token=token
    )


async def test_k13_a_user_who_is_deleted_past_the_api_is_gone_within_two_seconds(whole_system):
    author, _ = await whole_system.author()
    _, token = await whole_system.author()
    url = f"/users/{author}"
    async with api_and_relay(whole_system) as api, reader(api, token) as client:
        await cached(whole_system, client, url)
        await whole_system.fetch("delete from auth.users where id = $1", author)
        await fresh(client, url, lambda answer: answer.status_code == 404)
