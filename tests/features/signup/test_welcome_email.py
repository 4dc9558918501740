"""The mail that welcomes a new user, as it arrives in an inbox."""

import email
import re
from email import policy

import pytest

from features.signup.tasks import send_welcome_email
from kernel.boot.app import create_app
from kernel.jobs import minutes, seconds
from kernel.supabase.http import bearer
from kit.application import running
from kit.mail import links, token_in
from kit.people import PASSWORD, new_email

JOB = "signup.send_welcome_email"
SUBJECT = "Your account is ready"
REQUESTED = """
select items -> 0 ->> 'confirmation_id' from outbox.events
where topic = 'confirmation_requested' order by id desc limit 1
"""


@pytest.fixture
async def sign_up(anonymous, jobs, prove):
    """Signs up through the API; returns address and id: `await sign_up("Ada")`.

    The address is proven before the welcome is sent.
    """

    async def sign_up(name=None):
        body = {"email": new_email(), "password": PASSWORD} | (
            {"display_name": name} if name else {}
        )
        with jobs.held():
            answer = await anonymous.post("/auth/signup", json=body)
            user_id = answer.raise_for_status().json()["data"]["user"]["id"]
            await prove(user_id)
        return body["email"], user_id

    return sign_up


@pytest.fixture
async def confirming(settings, confirming_supabase_url):
    """A client of an application whose Supabase requires confirmed addresses."""
    changed = settings.model_copy(update={"supabase_url": confirming_supabase_url})
    async with running(create_app(changed)) as client_for, client_for() as client:
        yield client


async def test_a_new_user_gets_one_mail_in_text_and_html(jobs, sign_up):
    address, user_id = await sign_up("Ada Lovelace")
    (mail,) = await jobs.all_mail_to(address, user_id)
    assert mail.subject == SUBJECT
    assert mail.text.startswith("Hello Ada Lovelace,\n")
    assert "<p>Hello Ada Lovelace,</p>" in mail.html
    assert [run["state"] for run in await jobs.runs(user_id, JOB)] == ["succeeded"]


async def test_a_name_is_no_markup(jobs, sign_up):
    address, _ = await sign_up('<b>"Ada" & Co</b>')
    (mail,) = await jobs.mail_to(address)
    assert mail.text.startswith('Hello <b>"Ada" & Co</b>,\n')
    assert "<b>" not in mail.html
    assert "Hello &lt;b&gt;&#34;Ada&#34; &amp; Co&lt;/b&gt;," in mail.html


async def test_s9_an_address_that_no_mail_has_proven_gets_no_name_in_it(jobs, anonymous):
    body = {"email": new_email(), "password": PASSWORD, "display_name": "Buy cheap pills"}
    answer = await anonymous.post("/auth/signup", json=body)
    user = answer.json()["data"]["user"]
    assert user["email_confirmed_at"] is not None  # Supabase Auth confirms immediately
    (mail,) = await jobs.all_mail_to(body["email"], user["id"])
    assert mail.text.startswith("Hello,\n")
    assert "pills" not in mail.subject + mail.text + mail.html


async def test_a_user_without_a_name_is_greeted_all_the_same(jobs, sign_up):
    address, _ = await sign_up()
    (mail,) = await jobs.mail_to(address)
    assert mail.text.startswith("Hello,\n")
    assert "<p>Hello,</p>" in mail.html


async def test_with_confirmation_the_welcome_follows_the_confirmation(jobs, confirming, database):
    address = new_email()
    body = {"email": address, "password": PASSWORD, "display_name": "Ada"}
    assert (await confirming.post("/auth/signup", json=body)).status_code == 202
    user_id = await database.fetchval("select id from auth.users where email = $1", address)
    (asking,) = await jobs.mail_to(address)
    assert asking.subject == "Confirm your e-mail address"
    in_text, in_html = links(asking)
    assert in_text == in_html
    assert "/confirm-email#token=" in in_text[0]
    assert "Ada" not in asking.text  # no text of a user who has not proven the address
    assert len(token_in(in_text[0])) == 64
    await database.execute(
        "update auth.users set email_confirmed_at = now() where email = $1", address
    )
    both = await jobs.all_mail_to(address, user_id)
    assert [mail.subject for mail in both] == [asking.subject, SUBJECT]
    events = "select items::text from outbox.events where topic = 'confirmation_requested'"
    assert address not in str(await database.fetch(events))


async def test_an_address_with_an_account_gets_no_mail_for_another_sign_up(
    jobs, confirming, author, database
):
    await jobs.mail_to(author.email)
    body = {"email": author.email, "password": PASSWORD}
    assert (await confirming.post("/auth/signup", json=body)).status_code == 202
    request = await database.fetchval(REQUESTED)
    assert len(await jobs.all_mail_to(author.email, request)) == 1


async def test_an_address_gets_five_links_an_hour(jobs, confirming, database):
    address = new_email()
    body = {"email": address, "password": PASSWORD}
    for number in range(1, 7):
        assert (await confirming.post("/auth/signup", json=body)).status_code == 202
        request = await database.fetchval(REQUESTED)
        mails = await jobs.all_mail_to(address, request)
        assert len(mails) == min(number, 5)


async def test_a_user_who_changes_or_is_confirmed_again_gets_no_second_mail(
    jobs, author, supabase, stack, database
):
    await jobs.mail_to(author.email)
    service = bearer(stack.gateway.service_key)
    answers = [
        await supabase.put(
            "/auth/v1/user",
            json={"data": {"display_name": "Ada"}},
            headers={"Authorization": f"Bearer {author.token}"},
        ),
        await supabase.patch(
            f"/rest/v1/profiles?id=eq.{author.id}", json={"display_name": "Ada"}, headers=service
        ),
        await supabase.put(
            f"/auth/v1/admin/users/{author.id}", json={"email_confirm": True}, headers=service
        ),
        await supabase.post(
            "/auth/v1/token?grant_type=password",
            json={"email": author.email, "password": author.password},
        ),
    ]
    assert all(answer.is_success for answer in answers)
    for moment in ("null", "now()"):  # support may do this: unconfirm, and confirm again
        await database.execute(
            f"update auth.users set email_confirmed_at = {moment} where id = $1", author.id
        )
    confirmed = await database.fetchval(
        """select count(*) from outbox.events
           where topic = 'user_confirmed' and items @> $1::jsonb""",
        f'[{{"user_id": "{author.id}"}}]',
    )
    assert confirmed == 2
    assert len(await jobs.all_mail_to(author.email, author.id)) == 1
    assert len(await jobs.runs(author.id, JOB)) == 1


async def test_a_user_who_is_deleted_at_once_gets_no_mail(jobs, anonymous, supabase, stack):
    with jobs.held():
        body = {"email": (address := new_email()), "password": PASSWORD}
        answer = await anonymous.post("/auth/signup", json=body)
        user_id = answer.json()["data"]["user"]["id"]
        gone = await supabase.delete(
            f"/auth/v1/admin/users/{user_id}", headers=bearer(stack.gateway.service_key)
        )
        assert gone.status_code == 200
    mails = await jobs.all_mail_to(address, user_id)  # another mail tells about the deletion
    assert SUBJECT not in [mail.subject for mail in mails]
    assert [run["state"] for run in await jobs.runs(user_id, JOB)] == ["succeeded"]


async def no_header_and_no_line(jobs, supabase, prove, breaks):
    """Sign up a user for each break, with a name that tries to inject a header; check the mails."""
    addresses = {separator: new_email() for separator in breaks}
    with jobs.held():
        for separator, address in addresses.items():
            name = f"Ada{separator}Bcc: eve@example.com{separator}{separator}Buy this!"
            body = {"email": address, "password": PASSWORD, "data": {"display_name": name}}
            answer = await supabase.post("/auth/v1/signup", json=body)
            await prove(answer.raise_for_status().json()["user"]["id"])
    for address in addresses.values():
        (mail,) = await jobs.mail_to(address)
        message = email.message_from_bytes(mail.raw, policy=policy.default)
        assert message["Bcc"] is None
        assert [one.address for one in mail.to + mail.cc + mail.bcc] == [address]
        greeting, blank, *_ = mail.text.splitlines()
        assert re.fullmatch("Hello Ada +Bcc: eve@example.com +Buy this!,", greeting)
        assert blank == ""


async def test_a_line_break_in_a_name_begins_no_header_and_no_line(jobs, supabase, prove):
    await no_header_and_no_line(jobs, supabase, prove, ["\n", "\r\n", "\r", "\v", "\f", "\x85"])


async def test_a_separator_of_unicode_in_a_name_begins_no_line(jobs, supabase, prove):
    await no_header_and_no_line(jobs, supabase, prove, ["\u2028", "\u2029"])


def test_the_retries_are_a_minute_apart():
    assert send_welcome_email.retries == 3
    assert {send_welcome_email.delay(attempt) for attempt in (1, 2, 3)} == {seconds(60)}
    assert send_welcome_email.timeout == minutes(5)
