"""Permanent and temporary failures of mails; neither error contains personal data."""

import asyncio
import pickle
import socket
import traceback

import pytest

from kernel.errors import Permanent
from kernel.mail import MailRefused, MailUnavailable
from kernel.mail import smtp as conversation

TO = "ada@example.com"
LOGIN = {"smtp_username": "ada", "smtp_password": "correct horse 9"}


@pytest.fixture
def failure_of(mailer_for):
    """Sends a mail that must fail; returns the error."""

    async def send(port, **settings):
        async with asyncio.timeout(10):
            with pytest.raises((MailRefused, MailUnavailable)) as raised:
                await mailer_for(port, **settings).send("welcome", to=TO, display_name="Ada")
        told = "".join(traceback.format_exception(raised.value))
        assert "ada@" not in told
        assert "correct horse" not in told
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
        return raised.value

    return send


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"RCPT": f"550 5.1.1 <{TO}> is unknown"}, "RCPT: the mail server answered 550 5.1.1"),
        ({"RCPT": f"550-{TO} has moved\r\n550 away"}, "RCPT: the mail server answered 550"),
        ({"RCPT": "552 5.2.2 Mailbox full"}, "RCPT: the mail server answered 552 5.2.2"),
        ({"DATA": "554 No valid recipients"}, "DATA: the mail server answered 554"),
        ({"content": "552 5.3.4 Too big"}, "DATA: the mail server answered 552 5.3.4"),
        ({"content": "554 5.7.1 Spam"}, "DATA: the mail server answered 554 5.7.1"),
        ({"MAIL": "552 Too large"}, "MAIL: the mail server answered 552"),
        ({"MAIL": "554 5.3.4 Too big"}, "MAIL: the mail server answered 554 5.3.4"),
    ],
)
async def test_a_refusal_of_recipient_or_letter_is_permanent(smtp, failure_of, answers, message):
    server = await smtp(answers=answers)
    failure = await failure_of(server.port)
    assert isinstance(failure, MailRefused)
    assert isinstance(failure, Permanent)
    assert str(failure) == message
    assert server.mails == []
    assert server.commands[-1] == "QUIT"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"greeting": "554 5.7.1 Go away"}, "connect: the mail server answered 554 5.7.1"),
        ({"greeting": "421 Busy"}, "connect: the mail server answered 421"),
        ({"greeting": "HTTP/1.1 400"}, "connect: the reply of the mail server is not SMTP"),
        ({"EHLO": "502 Unknown"}, "EHLO: the mail server answered 502"),
        ({"MAIL": "530 5.7.0 Log in first"}, "MAIL: the mail server answered 530 5.7.0"),
        ({"MAIL": "550 5.7.1 Not your name"}, "MAIL: the mail server answered 550 5.7.1"),
        ({"MAIL": "421 Closing"}, "MAIL: the mail server answered 421"),
        ({"RCPT": f"451 4.7.1 {TO} later"}, "RCPT: the mail server answered 451 4.7.1"),
        ({"RCPT": "530 Log in first"}, "RCPT: the mail server answered 530"),
        ({"RCPT": "421 Closing"}, "RCPT: the mail server answered 421"),
        ({"DATA": "451 Disk"}, "DATA: the mail server answered 451"),
        ({"content": "452 4.3.1 Disk full"}, "DATA: the mail server answered 452 4.3.1"),
        ({"content": "421 Closing"}, "DATA: the mail server answered 421"),
    ],
)
async def test_every_other_refusal_is_temporary(smtp, failure_of, answers, message):
    server = await smtp(answers=answers)
    failure = await failure_of(server.port)
    assert isinstance(failure, MailUnavailable)
    assert str(failure) == message
    assert server.mails == []


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("greeting", "connect"),
        ("EHLO", "EHLO"),
        ("MAIL", "MAIL"),
        ("RCPT", "RCPT"),
        ("DATA", "DATA"),
        ("content", "DATA"),
    ],
)
class TestNoAnswer:
    async def test_a_lost_connection_may_come_back(self, smtp, failure_of, command, phase):
        server = await smtp(answers={command: "drops"})
        failure = await failure_of(server.port)
        assert isinstance(failure, MailUnavailable)
        assert str(failure).startswith(f"{phase}: ")

    async def test_a_silent_server_is_given_up_after_a_deadline(
        self, smtp, failure_of, command, phase, monkeypatch
    ):
        monkeypatch.setattr(conversation, "COMMAND_SECONDS", 0.3)
        server = await smtp(answers={command: "silent"})
        failure = await failure_of(server.port)
        assert isinstance(failure, MailUnavailable)
        assert str(failure) == f"{phase}: no answer in time"


async def test_the_whole_conversation_has_a_deadline(smtp, failure_of, monkeypatch):
    monkeypatch.setattr(conversation, "TOTAL_SECONDS", 0.3)
    server = await smtp(answers={"content": "silent"})
    failure = await failure_of(server.port)
    assert isinstance(failure, MailUnavailable)
    assert str(failure) == "DATA: no answer in time"


async def test_a_connection_lost_after_ehlo_is_no_refusal_of_the_recipient(smtp, mailer_for):
    server = await smtp(answers={"EHLO": "250-scripted\r\n250 SMTPUTF8\r\ndrops"})
    with pytest.raises(MailUnavailable, match="MAIL: the connection was lost"):
        await mailer_for(server.port).send("welcome", to="grüße@example.com", display_name=None)


async def test_a_job_out_of_time_leaves_no_connection(smtp, mailer_for):
    server = await smtp(answers={"RCPT": "silent"})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await mailer_for(server.port).send("welcome", to=TO, display_name=None)
    async with asyncio.timeout(10):
        await server.left()
    assert server.mails == []


@pytest.mark.parametrize("answer", ["silent", "drops", "500 What?"])
async def test_a_taken_letter_is_sent_however_the_goodbye_goes(
    smtp, mailer_for, monkeypatch, answer
):
    monkeypatch.setattr(conversation, "GOODBYE_SECONDS", 0.1)
    server = await smtp(answers={"QUIT": answer})
    await mailer_for(server.port).send("welcome", to=TO, display_name=None)
    assert len(server.mails) == 1


async def test_a_refusal_stays_one_however_the_goodbye_goes(smtp, failure_of, monkeypatch):
    monkeypatch.setattr(conversation, "GOODBYE_SECONDS", 0.1)
    server = await smtp(answers={"RCPT": "550 No", "QUIT": "silent"})
    assert isinstance(await failure_of(server.port), MailRefused)


async def test_a_refused_connection_is_temporary(failure_of):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = await failure_of(port)
    assert isinstance(failure, MailUnavailable)
    assert str(failure).startswith("connect: the mail server cannot be reached: ")


async def test_an_unknown_host_name_is_reported_to_operators(failure_of):
    failure = await failure_of(25, smtp_host="x" * 300)
    assert isinstance(failure, MailUnavailable)
    assert "SMTP_HOST" in str(failure)


async def test_without_a_server_the_setting_is_named(failure_of):
    failure = await failure_of(None)
    assert isinstance(failure, MailUnavailable)
    assert str(failure) == "SMTP_HOST is not set: name the server that takes outgoing mail."


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
async def test_credentials_open_the_server(smtp, mailer_for, method):
    server = await smtp(offers=[f"AUTH XOAUTH2 {method}"])
    await mailer_for(server.port, **LOGIN).send("welcome", to=TO, display_name=None)
    assert any(line.startswith(f"AUTH {method} ") for line in server.commands)
    assert len(server.mails) == 1


@pytest.mark.parametrize("offers", ["AUTH CRAM-MD5 PLAIN LOGIN", "AUTH LOGIN"])
async def test_wrong_credentials_are_tried_once_and_reported_to_operators(smtp, failure_of, offers):
    server = await smtp(offers=[offers])
    failure = await failure_of(server.port, **LOGIN | {"smtp_password": "wrong"})
    assert isinstance(failure, MailUnavailable)
    assert str(failure) == "AUTH: the mail server answered 535 5.7.8"
    assert sum(line.startswith("AUTH") for line in server.commands) == 1
    assert not any(line.startswith("MAIL") for line in server.commands)


async def test_a_server_without_a_way_to_log_in_is_reported_to_operators(smtp, failure_of):
    server = await smtp(offers=["AUTH CRAM-MD5"])
    failure = await failure_of(server.port, **LOGIN)
    assert isinstance(failure, MailUnavailable)
    assert str(failure) == "AUTH: the mail server supports neither PLAIN nor LOGIN"


@pytest.mark.parametrize(
    ("host", "said"), [("worker-1", "[127.0.0.1]"), ("worker-1.example.com", None), ("", None)]
)
async def test_the_client_gives_its_full_name_or_else_its_address(
    smtp, mailer_for, monkeypatch, host, said
):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    server = await smtp()
    await mailer_for(server.port).send("welcome", to=TO, display_name=None)
    assert server.commands[0] == f"EHLO {said or host or '[127.0.0.1]'}"
