import pytest

from kit.outside_edits import assert_edit_shows

pytestmark = pytest.mark.slow


async def test_k13_an_edit_past_the_api_shows_within_two_seconds(whole_system):
    statement = "update public.settings set site_name = 'Edited'"
    await assert_edit_shows(whole_system, "/settings", statement, "site_name", "Edited")
