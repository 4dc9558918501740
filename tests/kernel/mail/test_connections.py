"""Connections to the mail server are reused, within bounds, and a letter is never lost by that."""

import asyncio

import pytest

from kernel.mail import MailRefused
from kernel.mail import smtp as conversation

TO = "ada@example.com"


@pytest.fixture
def send(smtp, mailer_for):
    """Sends a mail to a server."""

    async def send_to(server):
        await mailer_for(server.port).send("welcome", to=TO, display_name=None)

    return send_to


def verbs(server):
    return [line.partition(" ")[0].partition(":")[0] for line in server.commands]


async def test_letters_that_follow_each_other_share_a_connection(smtp, send):
    server = await smtp()
    for _ in range(3):
        await send(server)
    assert len(server.mails) == 3
    assert verbs(server) == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3]


async def test_an_idle_connection_is_ended_politely(smtp, send, monkeypatch):
    monkeypatch.setattr(conversation, "IDLE_SECONDS", 0.05)
    server = await smtp()
    await send(server)
    async with asyncio.timeout(10):
        await server.left()
    assert verbs(server)[-1] == "QUIT"


async def test_a_connection_takes_a_bounded_number_of_letters(smtp, send, monkeypatch):
    monkeypatch.setattr(conversation, "LETTERS", 2)
    server = await smtp()
    for _ in range(3):
        await send(server)
    assert verbs(server).count("EHLO") == 2
    assert verbs(server).count("QUIT") == 1
    assert len(server.mails) == 3


@pytest.mark.parametrize("goodbye", ["421 4.4.2 Too long idle", "drops", "452 Too many letters"])
async def test_a_server_that_has_ended_a_connection_gets_the_letter_over_a_new_one(
    smtp, send, goodbye
):
    server = await smtp()
    await send(server)
    server.next_mail = goodbye
    await send(server)
    assert len(server.mails) == 2
    assert verbs(server).count("EHLO") == 2


async def test_a_connection_with_a_refusal_is_not_used_again(smtp, send):
    server = await smtp(answers={"content": "554 5.7.1 Spam"})
    for _ in range(2):
        with pytest.raises(MailRefused):
            await send(server)
    assert verbs(server).count("EHLO") == verbs(server).count("QUIT") == 2


async def test_many_letters_at_a_time_share_a_bounded_number_of_connections(
    smtp, send, monkeypatch
):
    monkeypatch.setattr(conversation, "CONNECTIONS", 3)
    server = await smtp()
    await asyncio.gather(*(send(server) for _ in range(10)))
    assert len(server.mails) == 10
    assert verbs(server).count("EHLO") <= 3
