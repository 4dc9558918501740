"""A5: no failure of Auth writes a password or a token to a log."""

import pytest

from kit.application import SLICES
from kit.secrets import WAYS, assert_no_secret_is_logged

PASSWORD = "hunter2-hunter2"
REFRESH_TOKEN = "abcdefghijkl"  # opaque like Supabase's: it looks like any word


@pytest.mark.parametrize("behaviour", WAYS.values(), ids=WAYS)
async def test_a5_no_secret_reaches_a_log(settings, front, author, behaviour):
    front.auth = front.rest = behaviour
    credentials = {"email": author.email, "password": PASSWORD}
    await assert_no_secret_is_logged(
        settings,
        front,
        SLICES,
        reader=author,
        read="/mine",
        bodies={
            "/enter": credentials,
            "/join": credentials,
            "/renew": {"refresh_token": REFRESH_TOKEN},
        },
        secrets=(PASSWORD, REFRESH_TOKEN),
    )
