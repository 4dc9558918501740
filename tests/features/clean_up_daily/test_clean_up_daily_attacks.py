async def test_a12_the_services_function_is_not_the_users(attacker, supabase):
    body = {"rule": "entries", "batch": 1, "dry_run": True}
    for client, status in ((attacker, 403), (supabase, 401)):
        answer = await client.post("/rest/v1/rpc/apply_retention", json=body)
        assert answer.status_code == status
        assert answer.json()["code"] == "42501"
