"""Another mail for an address that waits for its confirmation."""

import pytest

from kit.people import new_email

pytestmark = pytest.mark.usefixtures("relay_rests")

WRONG = [{}, {"email": "no address"}, {"email": 7}, {"email": "a@example.com", "extra": 1}, []]
CLAIMS = """
select number from identity.claims c join auth.users u on u.id = c.user_id where u.email = $1
"""


async def ask(client, email):
    answer = await client.post("/auth/confirm/resend", json={"email": email})
    assert answer.status_code == 202
    return answer


async def test_anyone_may_call(anonymous):
    answer = await ask(anonymous, new_email())
    assert answer.headers["cache-control"] == "no-store"


async def test_o18_an_address_that_waits_gets_another_link_and_its_password_still_counts(
    anonymous, claim, database, jobs
):
    email = new_email()
    await claim(email)
    await ask(anonymous, email.upper())
    mails = await jobs.mail_to(email, 2)
    tokens = {mail.text.partition("#token=")[2].split()[0] for mail in mails}
    assert len(tokens) == 2
    assert await database.fetchval(CLAIMS, email) == 1  # no other sign-up: one password counts


async def test_all_addresses_have_the_same_answer_and_others_get_no_link(
    anonymous, claim, author, jobs, database
):
    unknown, waiting = new_email(), new_email()
    await claim(waiting)
    query = "select id from identity.mail_requests where email = $1 and purpose = 'signup'"
    with jobs.held():
        answers = [await ask(anonymous, email) for email in (unknown, waiting, author.email)]
        requests = {
            email: await database.fetchval(query, email) for email in (unknown, author.email)
        }
    assert len({answer.content for answer in answers}) == 1
    for email, request in requests.items():
        mails = await jobs.all_mail_to(email, request)
        assert not [mail for mail in mails if "#token=" in mail.text]


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422(anonymous, body):
    answer = await anonymous.post("/auth/confirm/resend", json=body)
    assert answer.status_code == 422


async def test_a_sixth_request_in_a_minute_is_429(client_for):
    async with client_for(address="203.0.113.99") as client:
        email = new_email()
        for _ in range(5):
            await ask(client, email)
        answer = await client.post("/auth/confirm/resend", json={"email": email})
    assert answer.status_code == 429
