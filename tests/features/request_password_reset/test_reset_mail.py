"""From the request to the new password, with the processes that do it."""

import pytest

from kit.mail import links, token_in
from kit.people import PASSWORD, new_email
from kit.waiting import until

pytestmark = pytest.mark.slow

JOB = "request_password_reset.send_reset_email"
NEW = "a better horse 10"


async def sign_up(client):
    body = {"email": new_email(), "password": PASSWORD}
    answer = await client.post("/auth/signup", json=body)
    return body["email"], answer.raise_for_status().json()["data"]["access_token"]


async def ask(client, email):
    answer = await client.post("/auth/password-reset", json={"email": email})
    assert answer.status_code == 202


async def done(system, number):
    async def so_many():
        return len(await system.runs(JOB, "succeeded")) == number

    await until(so_many)


def resets(mailbox, email):
    return mailbox.search(f'to:{email} subject:"new password"')


async def test_a_mailed_token_resets_the_password_once_and_ends_all_sessions(system, mailbox):
    async with system.api(APP_URL="https://app.example.com/") as (api, client):
        relay = await system.start("relay")
        worker = await system.start("worker", APP_URL="https://app.example.com/")
        email, access_token = await sign_up(client)
        me = {"Authorization": f"Bearer {access_token}"}
        assert (await client.get("/whoami/stored", headers=me)).status_code == 200

        await ask(client, email)
        await done(system, 1)
        kept = await system.fetch("select email from identity.mail_requests")
        assert [row["email"] for row in kept] == [None]
        [mail] = resets(mailbox, email)
        in_text, in_html = links(mail)
        assert in_text == in_html
        [link] = in_text
        assert link.startswith("https://app.example.com/reset-password#token=")

        body = {"token": token_in(link), "password": NEW}
        assert (await client.post("/auth/password-reset/confirm", json=body)).status_code == 204
        ended = await client.get("/whoami/stored", headers=me)
        assert (ended.status_code, ended.json()["error"]["code"]) == (401, "SESSION_ENDED")
        again = await client.post("/auth/password-reset/confirm", json=body)
        assert again.status_code == 401
        for password, status in ((PASSWORD, 401), (NEW, 200)):
            answer = await client.post("/auth/login", json={"email": email, "password": password})
            assert answer.status_code == status

        unknown = new_email()
        await ask(client, unknown)
        await done(system, 2)
        assert mailbox.search(f"to:{unknown}") == []

        messages = await system.fetch("select items::text as items from outbox.events")
        printed = [process.printed for process in (api, relay, worker)]
        for text in (*printed, *(row["items"] for row in messages)):
            assert email not in text
            assert unknown not in text
            assert token_in(link) not in text
        # What was asked for before the change is forgotten whole.
        assert await system.fetch("select email from identity.mail_requests") == []


async def test_the_sixth_request_within_an_hour_has_the_same_answer_and_no_mail(system, mailbox):
    async with system.api() as (_, client):
        await system.start("relay")
        await system.start("worker")
        email, _ = await sign_up(client)
        for _ in range(6):
            await ask(client, email)
        await done(system, 6)
        assert len(resets(mailbox, email)) == 5
        rows = await system.fetch("select details ->> 'outcome' as outcome from audit.entries")
        assert sorted(row["outcome"] for row in rows) == ["accepted"] * 5 + ["limited"]


async def test_a_mail_server_that_is_away_is_tried_again_and_nothing_tells_the_address(system):
    async with system.api() as (_, client):
        await system.start("relay")
        worker = await system.start("worker", SMTP_PORT="1")
        email, _ = await sign_up(client)
        await ask(client, email)

        async def failed_once():
            return [row for row in await system.runs(JOB, "queued") if row["error"]]

        [run] = await until(failed_once)
        assert run["attempts"] == 1
        assert "MailUnavailable" in run["error"]
        assert email not in run["error"]
        assert email not in worker.printed
