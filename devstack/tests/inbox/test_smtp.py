import asyncio
import smtplib
import tracemalloc
from email.message import EmailMessage

import pytest

from devstack.inbox.smtp import LINE_LIMIT, MAX_ERRORS, start_smtp

ENVELOPE = b"EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"


class Inbox:
    port: int

    def __init__(self):
        self.mails = []

    def take(self, content, sender, recipients):
        self.mails.append((content, sender, recipients))

    async def talk(self, *said):
        """Send all at once, then close the sending half; return the replies after the greeting."""
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"".join(said))
            writer.write_eof()
            lines = (await reader.read()).decode().splitlines()
            writer.close()
            return [line[:3] for line in lines[1:] if line[3:4] == " "]


@pytest.fixture
async def inbox():
    inbox = Inbox()
    server = await start_smtp(0, inbox.take, max_size=200_000)
    inbox.port = server.sockets[0].getsockname()[1]
    yield inbox
    server.close()
    await server.wait_closed()


async def test_a_standard_client_delivers(inbox):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Grüße"
    mail.set_content("Hällo\n.leading dot\n")

    def send():
        with smtplib.SMTP("127.0.0.1", inbox.port, timeout=10) as client:
            client.send_message(mail)

    await asyncio.to_thread(send)
    ((content, sender, recipients),) = inbox.mails
    assert (sender, recipients) == ("a@example.com", ("b@example.com",))
    assert b"Subject" in content


async def test_all_commands_in_one_packet_are_answered_in_order(inbox):
    mail = b"DATA\r\nSubject: 1\r\n\r\nhi\r\n.\r\n"
    again = b"MAIL FROM:<>\r\nRCPT TO:<c@example.com>\r\nDATA\r\nSubject: 2\r\n\r\n.\r\nQUIT\r\n"
    replies = await inbox.talk(ENVELOPE, mail, again)
    assert replies == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [mail[1:] for mail in inbox.mails] == [
        ("a@example.com", ("b@example.com",)),
        ("", ("c@example.com",)),
    ]


async def test_dots_at_the_start_of_a_line_are_unstuffed_once(inbox):
    await inbox.talk(ENVELOPE, b"DATA\r\n..\r\n...two\r\n.x\r\n.\r\nQUIT\r\n")
    assert inbox.mails[0][0] == b".\r\n..two\r\nx\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n"])
async def test_only_a_dot_between_two_crlf_ends_a_mail(inbox, end):
    smuggled = b"MAIL FROM:<evil@example.com>\r\n"
    await inbox.talk(ENVELOPE, b"DATA\r\nhi", end, smuggled, b"\r\n.\r\nQUIT\r\n")
    ((content, _, _),) = inbox.mails
    assert smuggled in content


async def test_too_large_a_mail_is_refused_and_the_session_goes_on(inbox):
    lines = b"x" * 998 + b"\r\n"
    replies = await inbox.talk(ENVELOPE, b"DATA\r\n", lines * 300, b".\r\nNOOP\r\nQUIT\r\n")
    assert replies[3:] == ["354", "552", "250", "221"]
    assert not inbox.mails


@pytest.mark.parametrize("size", ["200001", "9" * 500])
async def test_too_large_a_declared_size_is_refused_at_once(inbox, size):
    mail = f"EHLO me\r\nMAIL FROM:<a@example.com> SIZE={size}\r\nQUIT\r\n".encode()
    assert await inbox.talk(mail) == ["250", "552", "221"]


async def test_a_line_without_end_is_refused_and_not_kept_in_memory(inbox):
    long = b"x" * (5 * LINE_LIMIT) + b"\r\n"
    replies = await inbox.talk(long, ENVELOPE, b"DATA\r\n", long, b".\r\nQUIT\r\n")
    assert replies == ["500", "250", "250", "250", "354", "500", "221"]
    assert not inbox.mails


async def test_a_line_without_end_costs_no_memory_however_long_it_is(inbox):
    _, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
    writer.write(ENVELOPE + b"DATA\r\n")
    piece = b"x" * 1_000_000
    tracemalloc.start()
    try:
        for _ in range(20):
            writer.write(piece)
            await writer.drain()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        writer.close()
    assert peak < 5 * len(piece)
    assert not inbox.mails


async def test_commands_out_of_order_are_refused(inbox):
    replies = await inbox.talk(
        b"MAIL FROM:<a@example.com>\r\nEHLO me\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        b"MAIL FROM:<a@example.com>\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nDATA\r\nQUIT\r\n",
    )
    assert replies == ["503", "250", "503", "503", "250", "503", "250", "503", "221"]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("AUTH PLAIN AGEAYg==", "502"),
        ("STARTTLS", "502"),
        ("MAIL", "501"),
        ("MAIL FROM: a@example.com", "501"),
        ("MAIL TO:<a@example.com>", "501"),
        ("MAIL FROM:<a@example.com> NONSENSE=1", "555"),
        ("MAIL FROM:<a@example.com> BODY=8BITMIME SMTPUTF8 SIZE=10", "250"),
        ("mail from:<a@example.com>", "250"),
        ("VRFY a", "252"),
        ("", "500"),
    ],
)
async def test_one_command_gets_its_reply(inbox, command, reply):
    said = f"EHLO me\r\n{command}\r\nQUIT\r\n".encode()
    assert await inbox.talk(said) == ["250", reply, "221"]


async def test_garbage_ends_the_session_and_not_the_server(inbox):
    garbage = bytes(range(256)) + b"\r\n"
    replies = await inbox.talk(garbage * (MAX_ERRORS + 5))
    assert replies[-1] == "421"
    assert await inbox.talk(b"NOOP\r\nQUIT\r\n") == ["250", "221"]


async def test_a_web_page_cannot_send_mail(inbox):
    assert await inbox.talk(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", ENVELOPE) == ["421"]


async def test_a_client_that_leaves_in_the_middle_delivers_nothing(inbox):
    await inbox.talk(ENVELOPE, b"DATA\r\nSubject: half\r\n")
    assert await inbox.talk(b"NOOP\r\nQUIT\r\n") == ["250", "221"]
    assert not inbox.mails
