"""Only a mail that its owner has read proves an address."""

from uuid import uuid4

import pytest

from kernel.supabase.http import bearer
from kit.people import PASSWORD, new_email

PROVEN = "select proven from public.account($1)"


@pytest.fixture
def proven(database):
    """Returns whether the address of a user is proven: `await proven(user_id)`."""

    async def proven(user_id):
        return await database.fetchval(PROVEN, user_id)

    return proven


async def test_s9_an_address_that_is_confirmed_at_once_is_not_proven(author, proven, database):
    query = "select email_confirmed_at from auth.users where id = $1"
    assert await database.fetchval(query, author.id) is not None
    assert not await proven(author.id)


@pytest.mark.parametrize("purpose", ["signup", "password_reset", "email_change"])
async def test_a_token_that_is_taken_proves_the_address_it_was_sent_to(
    author, proven, database, purpose
):
    address, token = new_email(), uuid4()
    await database.execute(
        """insert into identity.mailed_tokens
             (id, hash, purpose, user_id, source, email, expires_at)
           values ($1, 'right', $2, $3, $1, $4, now() + interval '1 hour')""",
        token,
        purpose,
        author.id,
        address if purpose == "email_change" else author.email,
    )
    take = "select public.take_mailed_token($1, $2, $3)"
    assert "refused" in await database.fetchval(take, token, "wrong", purpose)
    assert not await proven(author.id)
    assert "refused" not in await database.fetchval(take, token, "right", purpose)
    if purpose == "email_change":
        assert not await proven(author.id)  # the current address is still the old one
        await database.execute("update auth.users set email = $2 where id = $1", author.id, address)
    assert await proven(author.id)


async def test_a_confirmation_mail_of_auth_proves_the_address(
    confirming_supabase_url, stack, supabase, mailbox, proven
):
    body = {"email": new_email(), "password": PASSWORD}
    made = await supabase.post(f"{confirming_supabase_url}/auth/v1/signup", json=body)
    user_id = made.raise_for_status().json()["id"]
    assert not await proven(user_id)
    link = await supabase.post(
        "/auth/v1/admin/generate_link",
        json={"type": "signup"} | body,
        headers=bearer(stack.gateway.service_key),
    )
    token = {"type": "signup", "token_hash": link.raise_for_status().json()["hashed_token"]}
    (await supabase.post("/auth/v1/verify", json=token)).raise_for_status()
    assert await proven(user_id)


async def test_s9_a_new_address_that_auth_takes_at_once_is_not_proven(
    author, prove, proven, database
):
    await prove(author.id)
    assert await proven(author.id)
    await database.execute(
        "update auth.users set email = $2, email_confirmed_at = now() where id = $1",
        author.id,
        new_email(),
    )
    assert not await proven(author.id)
