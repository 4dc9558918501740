import pytest

from kit.secrets import WAYS, assert_no_secret_is_logged

SECRET = "abcdefghijkl"  # opaque like Supabase's: it looks like any word


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", WAYS.values(), ids=WAYS)
async def test_a5_no_secret_reaches_a_log(settings, front, author, behaviour):
    front.auth = front.rest = behaviour
    bodies = {"/auth/refresh": {"refresh_token": SECRET}}
    await assert_no_secret_is_logged(
        settings, front, None, reader=author, bodies=bodies, secrets=(SECRET,)
    )
