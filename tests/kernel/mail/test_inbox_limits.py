"""The number of mails to an inbox is limited; the database counts mails when they are sent."""

from uuid import uuid4

import pytest

from kit.people import new_email

ADMIT = "select public.admit_mail($1, $2, $3, $4)"
LATER = "update identity.mails set at = at - interval '1 hour'"


@pytest.fixture
def admitted(own_database):
    """Returns how many of `number` mails are admitted: `await admitted(20, to, "a/b")`."""

    async def count(number, to, kind, *, security=False):
        return [
            await own_database.sql.fetchval(ADMIT, uuid4(), to, kind, security)
            for _ in range(number)
        ].count(True)

    return count


async def test_s9_an_inbox_gets_ten_of_a_kind_an_hour(own_database, admitted):
    to = new_email()
    assert await admitted(12, to, "posts/published") == 10
    assert await admitted(1, new_email(), "posts/published") == 1
    await own_database.sql.execute(LATER)
    assert await admitted(12, to, "posts/published") == 10


async def test_s9_security_mails_have_a_share_that_others_cannot_use_up(admitted):
    to = new_email()
    ordinary = [await admitted(10, to, f"slice_{number}/any") for number in range(5)]
    assert ordinary == [10, 10, 0, 0, 0]
    for kind in ("reset/reset", "notices/password_changed"):
        assert await admitted(12, to, kind, security=True) == 10
    fresh = new_email()
    await admitted(10, fresh, "reset/reset", security=True)
    assert await admitted(10, fresh, "slice/any") == 10


async def test_s9_what_follows_a_plus_is_the_same_inbox(admitted):
    name, _, domain = new_email().partition("@")
    spellings = [name, name.upper(), *(f"{name}+{number}" for number in range(20))]
    counts = [await admitted(1, f"{one}@{domain}", "posts/published") for one in spellings]
    assert sum(counts) == 10


async def test_a_mail_that_is_sent_again_counts_once_and_always_may(own_database, admitted):
    to, mail, ordinary = new_email(), uuid4(), (False,)
    for _ in range(20):
        assert await own_database.sql.fetchval(ADMIT, mail, to, "a/b", *ordinary)
    assert await admitted(10, to, "a/b") == 9
    assert await own_database.sql.fetchval(ADMIT, mail, to, "a/b", *ordinary)


async def test_s9_no_address_is_kept(own_database, admitted):
    to = new_email()
    await admitted(1, to, "a/b")
    rows = await own_database.sql.fetch("select m::text from identity.mails m")
    assert rows
    assert to.partition("@")[0] not in str(rows)


async def test_s9_a_mail_that_is_one_too_many_is_logged_and_not_sent(smtp, mailer_for, caplog):
    server = await smtp()
    to = new_email()
    for _ in range(11):
        await mailer_for(server.port).send("welcome", to=to, display_name=None)
    assert len(server.mails) == 10
    (line,) = [one for one in caplog.records if "its inbox has enough" in one.message]
    assert line.kind == "notify_author/welcome"
    assert to not in caplog.text
