"""Mails as they arrive: through a real server, from the templates of a real slice."""

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devstack.testing import Mailbox, start_smtp
from kernel.mail import MailRefused, MailUnavailable
from kernel.mail.letters import write
from kernel.mail.templates import RenderedMail, render

TO = "ada@example.com"
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
    "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
]  # fmt: skip
ENCODED_LINE_BREAK = "=?utf-8?q?Hello=0D=0ABcc:_victim@example.com?="


@pytest.fixture
async def inbox():
    """A mailbox, and the port of the server that stores mails in it."""
    mailbox = Mailbox()
    server = await start_smtp(0, mailbox.add)
    yield mailbox, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "note.txt").write_text("Subject: {{ subject_line }}\n\n{{ body }}\n")
    return tmp_path


async def test_a_mail_arrives_as_text_and_html_with_its_headers(inbox, mailer_for):
    mailbox, port = inbox
    await mailer_for(port).send("welcome", to=TO, display_name="Ada")
    (mail,) = mailbox.newest_first()
    assert (mail.sender.name, mail.sender.address) == ("Slices", "no-reply@slices.example")
    assert mail.return_path == "no-reply@slices.example"
    assert [one.address for one in mail.to] == [TO]
    assert mail.bcc == []
    assert mail.subject == "Your account is ready"
    assert "Hello Ada,\n" in mail.text
    assert "https://app.example\n" in mail.text
    assert '<a href="https://app.example">' in mail.html
    assert abs(datetime.now(UTC) - mail.date) < timedelta(minutes=1)
    message = message_from_bytes(mail.raw, policy=policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]


async def test_reports_of_undelivered_mails_go_to_the_return_path(inbox, mailer_for):
    mailbox, port = inbox
    mailer = mailer_for(port, mail_return_path="bounces@slices.example")
    await mailer.send("welcome", to=TO, display_name=None)
    (mail,) = mailbox.newest_first()
    assert mail.return_path == "bounces@slices.example"
    assert mail.sender.address == "no-reply@slices.example"


async def test_a_notification_says_how_to_get_no_more_of_them(inbox, mailer_for):
    mailbox, port = inbox
    mailer = mailer_for(port, mail_unsubscribe="unsubscribe@slices.example")
    await mailer.send("welcome", to=TO, notification=True, display_name=None)
    (mail,) = mailbox.newest_first()
    message = message_from_bytes(mail.raw, policy=policy.default)
    assert message["List-Unsubscribe"] == (
        "<mailto:unsubscribe@slices.example?subject=unsubscribe%20notify_author%2Fwelcome>"
    )
    # RFC 8058: only with an URL that takes a POST.
    assert message["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize("of_mail", [{}, {"security": True}], ids=str)
async def test_only_notifications_can_be_unsubscribed_from(inbox, mailer_for, of_mail):
    mailbox, port = inbox
    mailer = mailer_for(port, mail_unsubscribe="unsubscribe@slices.example")
    await mailer.send("welcome", to=TO, display_name=None, **of_mail)
    (mail,) = mailbox.newest_first()
    assert b"List-Unsubscribe" not in mail.raw


async def test_without_an_address_to_write_to_there_is_no_unsubscribe_header(inbox, mailer_for):
    mailbox, port = inbox
    await mailer_for(port).send("welcome", to=TO, notification=True, display_name=None)
    (mail,) = mailbox.newest_first()
    assert b"List-Unsubscribe" not in mail.raw


async def test_a_mail_about_security_is_no_notification(mailer_for):
    with pytest.raises(ValueError, match="nobody can unsubscribe"):
        await mailer_for(1).send("welcome", to=TO, security=True, notification=True)


async def test_a_repeated_run_sends_the_same_message_id(inbox, mailer_for):
    mailbox, port = inbox
    run = uuid4()
    for run_id, to in [(run, TO), (run, TO), (run, "eve@example.com"), (uuid4(), TO)]:
        await mailer_for(port, run_id=run_id).send("welcome", to=to, display_name=None)
    ids = [mail.message_id for mail in reversed(mailbox.newest_first())]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{36}@slices\.example", one) for one in ids)


async def test_a_mail_without_html_is_text_alone(inbox, mailer_for, folder):
    mailbox, port = inbox
    mailer = mailer_for(port, folder=folder)
    await mailer.send("note", to=TO, subject_line="Grüße 👩\u200d💻", body="Ünïcode\n.dot\n")
    (mail,) = mailbox.newest_first()
    assert (mail.subject, mail.text, mail.html) == ("Grüße 👩\u200d💻", "Ünïcode\n.dot\n\n", "")
    assert mail.raw.isascii()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Hello\r\nBcc: victim@example.com", "Hello Bcc: victim@example.com"),
        ("Hello\n\nbody", "Hello body"),
        ("Hello\u2028Bcc: x\x00\x0b", "Hello Bcc: x"),
        (ENCODED_LINE_BREAK, "= ?utf-8?q?Hello=0D=0ABcc:_victim@example.com?="),
        ("long " * 200, ("long " * 200).strip()),
    ],
)
async def test_a_subject_of_several_lines_becomes_one(inbox, mailer_for, folder, given, shown):
    mailbox, port = inbox
    await mailer_for(port, folder=folder).send("note", to=TO, subject_line=given, body="x")
    (mail,) = mailbox.newest_first()
    assert mail.subject == shown
    assert mail.text == "x\n"
    assert mail.bcc == []
    assert message_from_bytes(mail.raw).keys() == HEADERS


@given(name=st.text(), title=st.text(), local=st.text(min_size=1))
@example(name="x", title="x", local="a..b")
@example(name="x", title="x", local=".a")
@example(name=ENCODED_LINE_BREAK, title=ENCODED_LINE_BREAK, local="=?utf-8?q?a=0D=0ABcc=3A_x?=")
def test_no_text_of_users_makes_a_header(tmp_path_factory, name, title, local):
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.txt").write_text("Subject: {{ name }}: {{ title }}\n\n{{ title }}.\n")
    rendered = render(folder, "any", {"name": name, "title": title})
    try:
        letter = write(
            rendered,
            mail_from="Slices <no-reply@slices.example>",
            to=f"{local}@example.com",
            mail_id=uuid4(),
        )
    except MailRefused:
        return
    message = message_from_bytes(letter.content, policy=policy.default)
    assert message.keys() == HEADERS
    assert message["Subject"].split() == rendered.subject.split()
    assert letter.content.count(b"\n") == letter.content.count(b"\r\n")


@given(text=st.text(alphabet="aÜ👩=. \t\n\r_-", max_size=300), html=st.text(max_size=300))
@example(text="x" * 2000, html="<p>" + "Ü" * 2000)
@example(text="trailing \n.\n--=_\nFrom x", html="")
def test_any_text_arrives_as_it_is(text, html):
    text, html = (re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "", one) for one in (text, html))
    rendered = RenderedMail(subject="x", text=text, html=html)
    letter = write(rendered, mail_from="a@example.com", to=TO, mail_id=uuid4())
    assert letter.content.isascii()
    message = message_from_bytes(letter.content, policy=policy.default)
    for part, written in zip(message.iter_parts(), (text, html), strict=True):
        lines = written.encode().splitlines()
        content = part.get_content().replace("\r\n", "\n")
        assert content == "".join(line.decode() + "\n" for line in lines)
    assert max(map(len, letter.content.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "to",
    [
        "", "ada", "@example.com", "ada@", "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com, eve@example.com", "Ada <ada@example.com>", "a b@example.com",
        "ada@example.com> SIZE=1", "ada@eve@example.com", "ada\ud800@example.com",
        "=?utf-8?q?a=0D=0ABcc=3A_x?=@example.com", "ada@mün..chen.de",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_and_not_repeated(inbox, mailer_for, to):
    mailbox, port = inbox
    with pytest.raises(MailRefused) as refused:
        await mailer_for(port).send("welcome", to=to, display_name=None)
    assert "ada" not in str(refused.value)
    assert len(mailbox) == 0


async def test_a_non_ascii_domain_is_sent_in_ascii(smtp, mailer_for):
    server = await smtp()
    await mailer_for(server.port).send("welcome", to="ada@münchen.de", display_name=None)
    assert "RCPT TO:<ada@xn--mnchen-3ya.de>" in server.commands
    assert b"To: ada@xn--mnchen-3ya.de\r\n" in server.mails[0]


async def test_a_non_ascii_address_is_sent_to_a_server_with_smtputf8(inbox, mailer_for):
    mailbox, port = inbox
    await mailer_for(port).send("welcome", to="grüße@example.com", display_name="Ünï")
    (mail,) = mailbox.newest_first()
    assert mail.to[0].address == "grüße@example.com"
    assert "Hello Ünï" in mail.text


async def test_a_non_ascii_address_is_refused_by_other_servers(smtp, mailer_for):
    server = await smtp(offers=["SIZE 1000000", "8BITMIME"])
    with pytest.raises(MailRefused, match="SMTPUTF8"):
        await mailer_for(server.port).send("welcome", to="grüße@example.com", display_name=None)
    assert server.mails == []
    assert server.commands[-1] == "QUIT"


async def test_the_size_is_declared_if_the_server_offers_size(smtp, mailer_for, folder):
    server = await smtp(offers=["SIZE"])
    mailer = mailer_for(server.port, folder=folder)
    await mailer.send("note", to=TO, subject_line="x", body="Ü" * 2000)
    size = len(server.mails[0]) - len(b".\r\n")
    assert f"MAIL FROM:<no-reply@slices.example> SIZE={size}" in server.commands


@pytest.mark.parametrize("mail_from", ["Slices <nobody>", "Slices <grüße@example.com>"])
async def test_an_invalid_sender_is_reported_to_operators(mailer_for, mail_from):
    with pytest.raises(MailUnavailable, match="MAIL_FROM"):
        await mailer_for(1, mail_from=mail_from).send("welcome", to=TO, display_name=None)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"Grüße, Ada & Co."', "Grüße, Ada & Co."),
        ('"The \\"Slices\\""', 'The "Slices"'),
        ("x" * 200, "x" * 200),
    ],
)
def test_the_senders_name_is_kept(written, name):
    letter = write(
        RenderedMail(subject="x", text="x", html=None),
        mail_from=f"{written} <no-reply@example.com>",
        to=TO,
        mail_id=uuid4(),
    )
    message = message_from_bytes(letter.content, policy=policy.default)
    assert message["From"].addresses[0].display_name == name
