"""The mails that tell the owner of an account about changes, as they arrive in an inbox."""

import pytest

from kernel.supabase.http import bearer
from kit.mail import links
from kit.people import new_email

JOB = "notify_account_changes.notify_owner"
PASSWORD, EMAIL, DELETED = (
    "Your password was changed",
    "The e-mail address of your account was changed",
    "Your account was deleted",
)


@pytest.fixture
def notices(jobs, database):
    """Returns the notices to an address, as soon as no other can follow."""

    async def notices(address, user_id):
        query = "select id from identity.notices where user_id = $1"
        asked = [row["id"] for row in await database.fetch(query, user_id)]
        mails = await jobs.all_mail_to(address, *asked)
        return [mail for mail in mails if mail.subject in {PASSWORD, EMAIL, DELETED}]

    return notices


@pytest.fixture
def as_service(supabase, stack):
    """Changes an account by Supabase Auth's own admin API, like a dashboard."""

    async def change(method, person, **body):
        answer = await supabase.request(
            method,
            f"/auth/v1/admin/users/{person.id}",
            json=body,
            headers=bearer(stack.gateway.service_key),
        )
        answer.raise_for_status()

    return change


async def test_a_changed_password_is_told(notices, author, supabase):
    body = {"password": "another horse 10"}
    headers = {"Authorization": f"Bearer {author.token}"}
    (await supabase.put("/auth/v1/user", json=body, headers=headers)).raise_for_status()
    (mail,) = await notices(author.email, author.id)
    assert mail.subject == PASSWORD
    assert mail.html


async def test_a_password_that_the_dashboard_changed_is_told_too(notices, author, as_service):
    await as_service("PUT", author, password="another horse 10")
    assert [mail.subject for mail in await notices(author.email, author.id)] == [PASSWORD]


async def test_the_old_address_hears_of_a_new_one_and_gets_a_link_to_undo_it(
    notices, author, as_service, database
):
    email = new_email()
    await as_service("PUT", author, email=email, email_confirm=True)
    (mail,) = await notices(author.email, author.id)
    assert mail.subject == EMAIL
    assert email not in mail.text
    in_text, in_html = links(mail)
    assert in_text == in_html
    assert "/undo-email-change#token=" in in_text[0]
    assert await notices(email, author.id) == []
    query = "select count(*) from outbox.events where items::text like '%' || $1 || '%'"
    assert await database.fetchval(query, author.email) == 0


async def test_a_deletion_is_told(notices, author, as_service):
    await as_service("DELETE", author)
    (mail,) = await notices(author.email, author.id)
    assert mail.subject == DELETED


async def test_an_address_that_nobody_proved_is_not_written_to(
    notices, author, as_service, database
):
    await database.execute(
        "update auth.users set email_confirmed_at = null where id = $1", author.id
    )
    await as_service("PUT", author, password="another horse 10")
    await as_service("PUT", author, email=new_email())
    await as_service("DELETE", author)
    assert await notices(author.email, author.id) == []


async def test_a_sign_in_is_no_reason_to_write(notices, author, logs_in):
    assert await logs_in(author.email, author.password)
    assert await notices(author.email, author.id) == []
