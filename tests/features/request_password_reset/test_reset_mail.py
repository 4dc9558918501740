"""From the request to the mail, with the real processes."""

import base64
import hashlib
import json
from uuid import UUID

import jwt
import pytest

from kit.mail import links, token_in
from kit.people import new_email
from kit.waiting import until

pytestmark = pytest.mark.slow

JOB = "request_password_reset.send_reset_email"


async def email_of_new_user(system):
    _, token = await system.author()
    return jwt.decode(token, options={"verify_signature": False})["email"]


async def ask(client, email):
    answer = await client.post("/auth/password-reset", json={"email": email})
    assert answer.status_code == 202


async def done(system, number):
    async def so_many():
        return len(await system.runs(JOB, "succeeded")) == number

    await until(so_many)


def resets(mailbox, email):
    return mailbox.search(f'to:{email} subject:"new password"')


async def redeemed(system, token):
    """Take a token, as the slice that redeems it does."""
    raw = base64.urlsafe_b64decode(token)
    found = await system.fetch(
        "select public.take_mailed_token($1, $2, 'password_reset') as proof",
        UUID(bytes=raw[:16]),
        hashlib.sha256(raw[16:]).hexdigest(),
    )
    return "refused" not in json.loads(found[0]["proof"])


async def test_a_mailed_token_is_valid_once_and_appears_nowhere_else(whole_system, mailbox):
    async with whole_system.api(APP_URL="https://app.example.com/") as (api, client):
        relay = await whole_system.start("relay")
        worker = await whole_system.start("worker", APP_URL="https://app.example.com/")
        email = await email_of_new_user(whole_system)

        await ask(client, email)
        await done(whole_system, 1)
        kept = await whole_system.fetch("select email from identity.mail_requests")
        assert [row["email"] for row in kept] == [None]
        [mail] = resets(mailbox, email)
        in_text, in_html = links(mail)
        assert in_text == in_html
        [link] = in_text
        assert link.startswith("https://app.example.com/reset-password#token=")
        assert await redeemed(whole_system, token_in(link))
        assert not await redeemed(whole_system, token_in(link))

        unknown = new_email()
        await ask(client, unknown)
        await done(whole_system, 2)
        assert mailbox.search(f"to:{unknown}") == []

        messages = await whole_system.fetch("select items::text as items from outbox.events")
        printed = [process.printed for process in (api, relay, worker)]
        for text in (*printed, *(row["items"] for row in messages)):
            assert email not in text
            assert unknown not in text
            assert token_in(link) not in text


async def test_the_sixth_request_within_an_hour_has_the_same_answer_and_no_mail(
    whole_system, mailbox
):
    async with whole_system.api() as (_, client):
        await whole_system.start("relay")
        await whole_system.start("worker")
        email = await email_of_new_user(whole_system)
        for _ in range(6):
            await ask(client, email)
        await done(whole_system, 6)
        assert len(resets(mailbox, email)) == 5
        rows = await whole_system.fetch(
            "select details ->> 'outcome' as outcome from audit.entries"
        )
        assert sorted(row["outcome"] for row in rows) == ["accepted"] * 5 + ["limited"]


async def test_a_mail_server_that_is_away_is_tried_again_and_the_address_appears_nowhere(
    whole_system,
):
    async with whole_system.api() as (_, client):
        await whole_system.start("relay")
        worker = await whole_system.start("worker", SMTP_PORT="1")
        email = await email_of_new_user(whole_system)
        await ask(client, email)

        async def failed_once():
            return [row for row in await whole_system.runs(JOB, "queued") if row["error"]]

        [run] = await until(failed_once)
        assert run["attempts"] == 1
        assert "MailUnavailable" in run["error"]
        assert email not in run["error"]
        assert email not in worker.printed
