"""S1: only the owner's mail confirms an address; neither guesses nor link scanners do."""

import hashlib
from itertools import islice

from kit.people import PASSWORD, new_email

CONFIRM = "/auth/confirm"


def code_hashes(email):
    """The possible values of Auth's one-time token: SHA-224 of the address and a short code."""
    return (hashlib.sha224(f"{email}{code:06}".encode()).hexdigest() for code in range(10**6))


async def test_s1_an_address_that_the_attacker_does_not_own_is_not_confirmed(
    confirming_client_for, claim, database
):
    victim = new_email()
    await claim(victim, "the attacker's own 1")
    query = "select count(*) from auth.one_time_tokens where relates_to = $1"
    assert await database.fetchval(query, victim) == 0
    hashes = code_hashes(victim)
    for network in range(20):
        async with confirming_client_for(address=f"2001:db8:cafe:{network:x}::1") as attacker:
            for guessed in islice(hashes, 2):
                answer = await attacker.post(CONFIRM, json={"token": guessed})
                assert answer.status_code == 401
    confirmed = "select email_confirmed_at from auth.users where email = $1"
    assert await database.fetchval(confirmed, victim) is None


async def test_s1_a_scanner_that_opens_the_link_changes_nothing(confirming, mailed_token, claim):
    email = new_email()
    await claim(email, PASSWORD)
    token = await mailed_token(email, "signup")
    for url in (f"{CONFIRM}?token={token}", f"{CONFIRM}#token={token}"):
        assert (await confirming.get(url)).status_code == 405
    assert (await confirming.post(CONFIRM, json={"token": token})).status_code == 200


async def test_o3_a_change_of_address_that_waits_ends_with_a_new_password(
    anonymous, author, mailed_token, database, supabase, stack
):
    email = new_email()
    query = "select public.request_email_change($1, $2)"
    assert await database.fetchval(query, author.id, email) == "requested"
    token = await mailed_token(email, "email_change")
    url, key = f"/auth/v1/admin/users/{author.id}", stack.gateway.service_key
    headers = {"Authorization": f"Bearer {key}"}
    body = {"password": "another horse 10"}
    assert (await supabase.put(url, json=body, headers=headers)).is_success
    answer = await anonymous.post(CONFIRM, json={"token": token, "type": "email_change"})
    assert answer.status_code == 401
