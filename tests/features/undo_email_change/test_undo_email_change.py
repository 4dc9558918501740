import asyncio

import pytest

from kernel.identity.mailed_tokens import NewToken
from kit.people import PASSWORD, new_email

pytestmark = pytest.mark.usefixtures("relay_rests")

URL = "/auth/email-change/undo"
ATTACKERS = "the attacker's own 1"
WRONG = [{}, {"token": ""}, {"token": 7}, {"token": "secret-token", "password": PASSWORD}, "text"]


@pytest.fixture
def undo_token(database):
    """Issues the token of a notice about a change, as the job that mails it does."""

    async def issue(person, old):
        notice = await database.fetchval(
            "select id from identity.notices "
            "where user_id = $1 and email = $2 and kind = 'email_changed'",
            person.id,
            old,
        )
        token = NewToken()
        words = token.arguments
        query = "select public.issue_notice($1, $2, $3)"
        found = await database.fetchval(query, notice, words["token"], words["hash"])
        return token.text if found else None

    return issue


@pytest.fixture
def take_over(supabase, stack):
    """Changes address and password of an account, like a successful attacker."""
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}

    async def move(person, email):
        for change in ({"email": email, "email_confirm": True}, {"password": ATTACKERS}):
            url = f"/auth/v1/admin/users/{person.id}"
            (await supabase.put(url, json=change, headers=key)).raise_for_status()

    return move


async def undo(client, token):
    return await client.post(URL, json={"token": token})


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def test_anyone_may_call(anonymous, author, take_over, undo_token):
    await take_over(author, new_email())
    answer = await undo(anonymous, await undo_token(author, author.email))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_the_owner_gets_the_account_back_and_the_attacker_is_out(
    anonymous, client_for, author, take_over, undo_token, supabase, logs_in, database
):
    attackers = new_email()
    await take_over(author, attackers)
    body = {"email": attackers, "password": ATTACKERS}
    session = (await supabase.post("/auth/v1/token?grant_type=password", json=body)).json()
    answer = await undo(anonymous, await undo_token(author, author.email))
    assert answer.status_code == 200

    async with client_for(session["access_token"]) as attacker:
        assert code(await attacker.get("/whoami/stored")) == (401, "SESSION_ENDED")
    for email in (attackers, author.email):
        for password in (ATTACKERS, PASSWORD):
            assert not await logs_in(email, password)
    waiting = "select count(*) from identity.mail_requests where email = $1"
    assert await database.fetchval(waiting, author.email) == 1  # a link to a new password
    query = "select action from audit.entries where user_id = $1"
    assert [row["action"] for row in await database.fetch(query, author.id)] == [
        "email_change_undone"
    ]


async def test_the_first_address_wins_over_all_that_came_after(
    anonymous, author, take_over, undo_token
):
    second, third = new_email(), new_email()
    await take_over(author, second)
    first = await undo_token(author, author.email)
    await take_over(author, third)
    later = await undo_token(author, second)
    assert (await undo(anonymous, first)).status_code == 200
    assert code(await undo(anonymous, later)) == (401, "INVALID_UNDO_TOKEN")
    assert await undo_token(author, second) is None  # a mail that is sent later has no link


async def test_the_undo_itself_cannot_be_undone(anonymous, author, take_over, undo_token, database):
    attackers = new_email()
    await take_over(author, attackers)
    token = await undo_token(author, author.email)
    assert (await undo(anonymous, token)).status_code == 200
    query = "select count(*) from identity.notices where user_id = $1 and email = $2"
    assert await database.fetchval(query + " and kind = 'email_changed'", author.id, attackers) == 0


async def test_a_new_password_does_not_stop_it(anonymous, author, take_over, undo_token):
    await take_over(author, new_email())
    token = await undo_token(author, author.email)
    await take_over(author, new_email())
    assert (await undo(anonymous, token)).status_code == 200


async def test_an_account_that_squats_on_the_old_address_makes_way(
    anonymous, claim, author, take_over, undo_token
):
    await take_over(author, new_email())
    await claim(author.email, "a squatter's own 1")
    assert (await undo(anonymous, await undo_token(author, author.email))).status_code == 200


async def test_returns_409_where_somebody_uses_the_old_address(
    anonymous, author, take_over, undo_token, supabase
):
    await take_over(author, new_email())
    body = {"email": author.email, "password": PASSWORD}
    (await supabase.post("/auth/v1/signup", json=body)).raise_for_status()
    answer = await undo(anonymous, await undo_token(author, author.email))
    assert code(answer) == (409, "EMAIL_TAKEN")


async def test_returns_401_for_a_bad_used_or_old_token(
    anonymous, author, stranger, take_over, undo_token, mailed_token, database
):
    await take_over(author, new_email())
    used = await undo_token(author, author.email)
    await undo(anonymous, used)
    await take_over(stranger, new_email())
    old = await undo_token(stranger, stranger.email)
    await database.execute(
        "update identity.mailed_tokens set expires_at = now() where user_id = $1", stranger.id
    )
    for_a_reset = await mailed_token(author.email)
    answers = [await undo(anonymous, token) for token in ("bad", used, old, for_a_reset)]
    assert [code(answer) for answer in answers] == [(401, "INVALID_UNDO_TOKEN")] * 4


async def test_of_two_at_once_one_wins(anonymous, author, take_over, undo_token):
    await take_over(author, new_email())
    token = await undo_token(author, author.email)
    answers = await asyncio.gather(*(undo(anonymous, token) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post(URL, json=body)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert "secret-token" not in answer.text
