import httpx

from kit.people import PASSWORD, new_email


async def test_an_unconfirmed_address_cannot_log_in(confirming, confirming_supabase_url, stack):
    body = {"email": new_email(), "password": PASSWORD}
    headers = {"apikey": stack.gateway.anon_key}
    async with httpx.AsyncClient(base_url=confirming_supabase_url, headers=headers) as auth:
        (await auth.post("/auth/v1/signup", json=body)).raise_for_status()
    answer = await confirming.post("/auth/login", json=body)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "EMAIL_NOT_CONFIRMED"
