"""S1: mailed tokens cannot be guessed, and no guessable code replaces them."""

import asyncio
import base64
import hashlib
from itertools import count, islice

import pytest

from kit.people import PASSWORD, new_email

RESET = "/auth/password-reset/confirm"
NEW = "a better horse 10"
_NETWORKS = count(1)


@pytest.fixture
def outside(client_for):
    """Makes clients that call from unused networks: `outside(host)`."""

    def client(host="1"):
        return client_for(address=f"2001:db8:{next(_NETWORKS):x}::{host}")

    return client


def code_hashes(email):
    """The possible values of Auth's one-time token: SHA-224 of the address and a short code."""
    return (hashlib.sha224(f"{email}{code:06}".encode()).hexdigest() for code in range(10**6))


def altered(token, number):
    """Return the token with another secret half: an attacker may know only its id."""
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[-1] ^= number + 1
    return base64.urlsafe_b64encode(raw).decode()


async def reset(client, token, password=NEW):
    return await client.post(RESET, json={"token": token, "password": password})


async def refusals(database, user_id):
    query = """
        select details ->> 'reason' from audit.entries
        where user_id = $1 and action = 'token_refused' order by id
        """
    return [row[0] for row in await database.fetch(query, user_id)]


async def test_s1_guessing_auths_code_from_many_networks_takes_no_account_over(
    outside, author, mailed_token, database, supabase
):
    token = await mailed_token(author.email)
    assert len(base64.urlsafe_b64decode(token)) == 16 + 32  # an id, and 256 random bits
    stored = await database.fetchval("select max(hash) from identity.mailed_tokens")
    assert token not in str(stored)
    # Auth stores no token for the account, so nothing can be guessed at Auth.
    query = "select count(*) from auth.one_time_tokens where user_id = $1"
    assert await database.fetchval(query, author.id) == 0

    async def guess(hashes):
        async with outside() as attacker:
            return [(await reset(attacker, guessed)).status_code for guessed in hashes]

    hashes = code_hashes(author.email)
    statuses = [status for _ in range(40) for status in await guess(islice(hashes, 5))]
    assert statuses == [401] * 200
    body = {"email": author.email, "password": PASSWORD}
    assert (await supabase.post("/auth/v1/token?grant_type=password", json=body)).is_success
    unknown = (
        "select count(*) from audit.entries where action = 'token_refused' and user_id is null"
    )
    assert await database.fetchval(unknown) >= 200


async def test_s1_the_code_that_auth_made_itself_is_no_token_of_ours(
    anonymous, author, supabase, stack
):
    body = {"type": "recovery", "email": author.email}
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    link = await supabase.post("/auth/v1/admin/generate_link", json=body, headers=key)
    assert (await reset(anonymous, link.json()["hashed_token"])).status_code == 401


async def test_s1_wrong_tries_at_an_account_are_ten_an_hour_over_all_networks_and_tokens(
    outside, author, mailed_token, database
):
    async def aim(token, tries):
        for number in range(tries):
            async with outside() as attacker:
                assert (await reset(attacker, altered(token, number))).status_code == 401

    first = await mailed_token(author.email)
    await aim(first, 5)
    async with outside() as owner:
        assert (await reset(owner, first)).status_code == 401  # five wrong tries invalidate a token
    second = await mailed_token(author.email)
    await aim(second, 4)
    third = await mailed_token(author.email)
    await aim(third, 3)
    found = await refusals(database, author.id)
    assert found.count("wrong") == 10
    assert len(found) == 13
    async with outside() as owner:
        assert (await reset(owner, third)).status_code == 401
    await database.execute(
        "update audit.entries set at = at - interval '61 minutes' where user_id = $1", author.id
    )
    async with outside() as owner:  # an hour later the link is valid again, if it is not too old
        assert (await reset(owner, third)).status_code == 204


async def test_s1_parallel_guesses_get_no_further(outside, author, mailed_token, database):
    token = await mailed_token(author.email)

    async def guess(number):
        async with outside() as attacker:
            return (await reset(attacker, altered(token, number))).status_code

    assert set(await asyncio.gather(*(guess(number) for number in range(40)))) == {401}
    assert (await refusals(database, author.id)).count("wrong") == 5


async def test_s1_a_wrong_try_or_two_do_not_spend_the_token(anonymous, author, mailed_token):
    token = await mailed_token(author.email)
    for number in range(4):
        assert (await reset(anonymous, altered(token, number))).status_code == 401
    assert (await reset(anonymous, token)).status_code == 204


async def test_s1_networks_of_one_site_count_together(client_for):
    statuses = []
    for network in range(1, 13):
        async with client_for(address=f"2001:db8:ff00:{network:x}::1") as attacker:
            statuses += [(await reset(attacker, "x" * 64)).status_code for _ in range(5)]
    assert statuses == [401] * 50 + [429] * 10


@pytest.mark.parametrize("change", ["password", "email", "deletion"])
async def test_o3_a_link_that_was_sent_before_a_change_does_not_count(
    anonymous, author, mailed_token, supabase, stack, change
):
    token = await mailed_token(author.email)
    url = f"/auth/v1/admin/users/{author.id}"
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    if change == "deletion":
        answer = await supabase.request("DELETE", url, headers=key)
    else:
        body = {"password": "another horse 10"} if change == "password" else {"email": new_email()}
        answer = await supabase.put(url, json=body, headers=key)
    assert answer.is_success
    assert (await reset(anonymous, token)).status_code == 401
