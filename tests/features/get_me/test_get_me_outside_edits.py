import pytest

from kit.outside_edits import assert_edit_shows

pytestmark = pytest.mark.slow


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(whole_system):
    user, token = await whole_system.author()
    email = "edited@example.com"
    statement = f"update auth.users set email = '{email}' where id = '{user}'"
    await assert_edit_shows(whole_system, "/users/me", statement, "email", email, token=token)
