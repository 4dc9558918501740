"""S7: a demoted admin changes nothing, not even with a token from before."""

NAME = {"site_name": "Taken over"}


async def test_s7_a_demoted_admin_changes_nothing_at_once(admin, supabase, stack, database):
    before = await database.fetchval("select site_name from public.settings")
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    body = {"app_metadata": {"role": None}}
    demoted = await supabase.put(f"/auth/v1/admin/users/{admin.id}", json=body, headers=key)
    demoted.raise_for_status()
    headers = {"Authorization": f"Bearer {admin.token}"}
    past = await supabase.patch("/rest/v1/settings?id=eq.global", json=NAME, headers=headers)
    assert past.status_code == 401
    through = await admin.client.put("/settings", json=NAME)
    assert through.status_code == 401
    assert await database.fetchval("select site_name from public.settings") == before


async def test_s7_a_change_that_keeps_the_role_ends_no_session(admin, supabase, stack):
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    body = {"app_metadata": {"team": "x"}}
    changed = await supabase.put(f"/auth/v1/admin/users/{admin.id}", json=body, headers=key)
    changed.raise_for_status()
    headers = {"Authorization": f"Bearer {admin.token}"}
    assert (await supabase.get("/rest/v1/profiles", headers=headers)).status_code == 200
