"""The mail about a login from a new place, as it arrives in an inbox."""

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole

SUBJECT = "A new login to your account"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEWER = FIREFOX.replace("140", "141")
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"
HOME, NEXT_DOOR, AWAY = "203.0.113.7", "203.0.113.8", "198.51.100.7"


@pytest.fixture
async def log_in(settings, author):
    """Logs the author in with LOGIN_NOTICES switched on: `await log_in(address, user_agent)`."""
    app = create_app(settings.model_copy(update={"login_notices": True}), whole())
    async with running(app) as client_for:

        async def log_in(address, user_agent):
            body = {"email": author.email, "password": author.password}
            async with client_for(address=address) as client:
                answer = await client.post("/enter", json=body, headers={"User-Agent": user_agent})
            assert answer.status_code == 200

        yield log_in


@pytest.fixture
def mails(jobs, database, author):
    """Returns the mails about logins of the author, as soon as no other can follow."""

    async def mails():
        query = "select id from identity.login_notices where user_id = $1"
        notices = [row["id"] for row in await database.fetch(query, author.id)]
        found = await jobs.all_mail_to(author.email, *notices)
        return [mail for mail in found if mail.subject == SUBJECT]

    return mails


async def test_a_login_from_elsewhere_is_told_once(log_in, mails):
    await log_in(HOME, FIREFOX)  # the first login defines the usual place
    await log_in(NEXT_DOOR, NEWER)  # the same network, and a browser update
    assert await mails() == []
    await log_in(AWAY, FIREFOX)
    (mail,) = await mails()
    assert f"Address: {AWAY}\n" in mail.text
    assert "Device: Firefox on Linux\n" in mail.text
    await log_in(AWAY, FIREFOX)
    assert len(await mails()) == 1


async def test_another_device_is_told_too(log_in, mails):
    await log_in(HOME, FIREFOX)
    await log_in(HOME, SAFARI)
    (mail,) = await mails()
    assert "Device: Safari on an iPhone\n" in mail.text


async def test_no_word_of_the_client_is_in_the_mail(log_in, mails):
    await log_in(HOME, FIREFOX)
    await log_in(HOME, "Call 555-0100 or visit https://evil.example <b>now</b>")
    (mail,) = await mails()
    assert "Device: an unknown program\n" in mail.text
    for part in (mail.text, mail.html):
        assert "evil" not in part
        assert "555" not in part


async def test_five_mails_an_hour_are_enough(log_in, mails):
    for number in range(7):
        await log_in(f"203.0.{number}.7", FIREFOX)
    assert len(await mails()) == 5


async def test_an_address_that_nobody_proved_is_not_written_to(log_in, mails, author, database):
    await log_in(HOME, FIREFOX)
    await database.execute(
        "update auth.users set email_confirmed_at = null where id = $1", author.id
    )
    await database.execute(
        "select public.note_login($1, 'curl', '192.0.2.0/24', '192.0.2.1')", author.id
    )
    assert await mails() == []


async def test_without_the_setting_nothing_is_kept(anonymous, author, database):
    body = {"email": author.email, "password": author.password}
    assert (await anonymous.post("/enter", json=body)).status_code == 200
    query = "select count(*) from identity.known_clients where user_id = $1"
    assert await database.fetchval(query, author.id) == 0
