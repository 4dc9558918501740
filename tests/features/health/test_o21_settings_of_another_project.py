"""O21: a process with settings of another project is not ready, and the log says why."""

from devstack.testing import api_key
from kernel.boot.app import create_app
from kit.application import running


async def test_o21_it_is_not_ready_and_the_log_names_the_setting(settings, capfd):
    changed = settings.model_validate(
        settings.model_dump() | {"supabase_service_key": api_key("anon")}
    )
    async with running(create_app(changed)) as client_for, client_for() as client:
        answers = [await client.get("/health/readiness") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {503}
    written = capfd.readouterr().out
    lines = [line for line in written.splitlines() if '"kernel.supabase.agreement"' in line]
    assert len(lines) == 1
    assert '"level": "ERROR"' in lines[0]
    assert "SUPABASE_SERVICE_KEY is no secret key" in lines[0]
