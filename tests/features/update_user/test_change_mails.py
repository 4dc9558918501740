"""The two mails about a new address, as they arrive in the inboxes."""

import pytest

from kit.mail import links, token_in
from kit.people import new_email


@pytest.fixture
def asked(jobs, author, database):
    """Requests an address as the author; returns the mails to both, once no other can follow."""

    async def ask(email):
        answer = await author.put(f"/users/{author.id}", json={"email": email})
        assert answer.status_code == 200
        change = await database.fetchval(
            "select id from identity.mail_requests where user_id = $1 "
            "and purpose = 'email_change' order by requested_at desc limit 1",
            author.id,
        )
        new = await jobs.all_mail_to(email, change)
        return new, await jobs.all_mail_to(author.email, author.id, change)

    return ask


async def test_the_link_goes_to_the_new_address_and_a_warning_to_the_old_one(asked, jobs, author):
    await jobs.mail_to(author.email)
    email = new_email()
    (mail,), (_, warning) = await asked(email)
    in_text, in_html = links(mail)
    assert in_text == in_html
    assert in_text[0].startswith("http://127.0.0.1:3000/confirm-new-email#token=")
    assert warning.subject == "Another e-mail address was asked for"
    assert "token" not in warning.text
    assert email not in warning.text
    assert len(token_in(in_text[0])) == 64


async def test_an_unproven_address_gets_no_warning(asked, jobs, author, database):
    await jobs.mail_to(author.email)
    await database.execute(
        "update auth.users set email_confirmed_at = null where id = $1", author.id
    )
    new, old = await asked(new_email())
    assert len(new) == 1
    assert len(old) == 1  # only the welcome mail
