"""O13: a login completes a sign-up that created the account but requested no mail."""

import httpx
import pytest

from kit.people import PASSWORD, new_email

pytestmark = pytest.mark.usefixtures("relay_rests")

REQUESTS = """
select count(*) from identity.mail_requests r
left join auth.users u on u.id = r.user_id
where r.purpose = 'signup' and coalesce(r.email, u.email) = $1
"""


@pytest.fixture
async def unfinished(confirming_supabase_url, stack):
    """The address of an account whose sign-up ended after its first step."""
    address = new_email()
    key = stack.gateway.service_key
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    body = {"type": "signup", "email": address, "password": PASSWORD}
    async with httpx.AsyncClient(headers=headers) as admin:
        made = await admin.post(f"{confirming_supabase_url}/auth/v1/admin/generate_link", json=body)
    made.raise_for_status()
    return address


async def test_o13_the_mail_is_requested_once(confirming, unfinished, database):
    for _ in range(2):
        answer = await confirming.post(
            "/auth/login", json={"email": unfinished, "password": PASSWORD}
        )
        assert answer.json()["error"]["code"] == "EMAIL_NOT_CONFIRMED"
        assert await database.fetchval(REQUESTS, unfinished) == 1


async def test_o13_a_wrong_password_requests_none(confirming, unfinished, database):
    body = {"email": unfinished, "password": "another horse 9"}
    answer = await confirming.post("/auth/login", json=body)
    assert answer.json()["error"]["code"] == "INVALID_CREDENTIALS"
    assert await database.fetchval(REQUESTS, unfinished) == 0
