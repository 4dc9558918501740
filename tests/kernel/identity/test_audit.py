"""Slices define their own actions in the audit log."""

from uuid import uuid4

import pytest

from kernel.identity import Audit
from kernel.supabase import AsService, SupabaseHttp
from kernel.web import Call


async def test_an_action_of_a_slices_own_is_written(settings, database):
    user_id = uuid4()
    async with SupabaseHttp(settings) as http:
        audit = Audit(AsService(http), Call(request_id="r" * 32, client_address="203.0.113.7"))
        await audit("report_exported", user_id=user_id, report="2026-11")
    found = await database.fetchrow("select * from audit.entries where user_id = $1", user_id)
    assert (found["action"], found["address"]) == ("report_exported", "203.0.113.7")


@pytest.mark.parametrize("action", ["", "Report exported", "x" * 64, "login\n", "1st"])
async def test_an_action_that_is_no_name_is_refused(settings, action):
    async with SupabaseHttp(settings) as http:
        audit = Audit(AsService(http), Call(request_id="r" * 32, client_address=None))
        with pytest.raises(ValueError, match="not the name of an action"):
            await audit(action)
