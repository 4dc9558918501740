from features import APP_NAME
from kernel.boot.app import create_app
from kit.application import running


async def test_anyone_may_call(anonymous, author):
    for reader in (anonymous, author):
        assert (await reader.get("/settings")).status_code == 200


async def test_a_stale_token_is_no_hindrance(client_for):
    async with client_for("not.a.token") as client:
        assert (await client.get("/settings")).status_code == 200


async def test_a_new_site_has_a_name_and_is_open(anonymous):
    answer = await anonymous.get("/settings")
    assert answer.json() == {
        "success": True,
        "data": {"site_name": APP_NAME, "announcement": None, "signups_open": True},
    }


async def test_they_are_read_as_they_are_stored(own_stack):
    await own_stack.sql.execute(
        "update public.settings "
        "set site_name = 'Salon', announcement = 'Closed today', signups_open = false"
    )
    async with running(create_app(own_stack.settings)) as client_for, client_for() as client:
        answer = await client.get("/settings")
    assert answer.json()["data"] == {
        "site_name": "Salon",
        "announcement": "Closed today",
        "signups_open": False,
    }
