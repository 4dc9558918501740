import os
from email.message import EmailMessage

import httpx
import pytest

from devstack.inbox.app import create_app
from devstack.inbox.mailbox import Mailbox


@pytest.fixture
def mailbox():
    return Mailbox(capacity=5)


@pytest.fixture
async def client(mailbox):
    transport = httpx.ASGITransport(app=create_app(mailbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def send(mailbox, subject="Hello", to="b@example.com", text="Some words", html=None, **headers):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann <a@example.com>", to, subject
    mail["Message-ID"] = "<42@example.com>"
    mail["Date"] = "Tue, 24 Nov 2026 12:00:00 +0100"
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(text)
    if html is not None:
        mail.add_alternative(html, subtype="html")
    return mailbox.add(mail.as_bytes(), "bounce@example.com", (to.strip("<>"), "hidden@x.example"))


async def test_list_has_mailpits_shape_and_is_newest_first(client, mailbox):
    send(mailbox, "first")
    send(mailbox, "second")
    body = (await client.get("/api/v1/messages")).json()
    assert [mail["Subject"] for mail in body.pop("messages")] == ["second", "first"]
    assert body == {
        "total": 2,
        "unread": 2,
        "count": 2,
        "messages_count": 2,
        "messages_unread": 2,
        "start": 0,
        "tags": [],
    }


async def test_summary_has_mailpits_fields(client, mailbox):
    mail = send(mailbox)
    (found,) = (await client.get("/api/v1/messages")).json()["messages"]
    assert found == {
        "ID": mail.id,
        "MessageID": "42@example.com",
        "Read": False,
        "From": {"Name": "Ann", "Address": "a@example.com"},
        "To": [{"Name": "", "Address": "b@example.com"}],
        "Cc": [],
        "Bcc": [{"Name": "", "Address": "hidden@x.example"}],
        "ReplyTo": [],
        "Subject": "Hello",
        "Created": mail.received.isoformat(),
        "Username": "",
        "Tags": [],
        "Size": len(mail.raw),
        "Attachments": 0,
        "Snippet": "Some words",
    }


async def test_message_has_text_html_and_date_by_id_and_as_latest(client, mailbox):
    mail = send(mailbox, html="<p>Some <b>words</b></p>")
    by_id = (await client.get(f"/api/v1/message/{mail.id}")).json()
    assert by_id["Text"] == "Some words\n"
    assert by_id["HTML"] == "<p>Some <b>words</b></p>\n"
    assert by_id["Date"] == "2026-11-24T12:00:00+01:00"
    assert by_id["ReturnPath"] == "bounce@example.com"
    assert by_id["Attachments"] == by_id["Inline"] == []
    assert (await client.get("/api/v1/message/latest")).json() == by_id
    assert (await client.get("/api/v1/messages")).json()["unread"] == 0


async def test_unknown_message_is_404(client):
    assert (await client.get("/api/v1/message/latest")).status_code == 404
    assert (await client.get("/api/v1/message/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("to:ann@example.com", ["Welcome Ann"]),
        ("TO:ANN@EXAMPLE.COM", ["Welcome Ann"]),
        ('to:"ann@example.com"', ["Welcome Ann"]),
        ("to:example.com", ["Reset", "Welcome Ann"]),
        ("subject:reset", ["Reset"]),
        ('subject:"welcome ann"', ["Welcome Ann"]),
        ('subject:"ann welcome"', []),
        ("from:a@example.com", ["Reset", "Welcome Ann"]),
        ("bcc:hidden", ["Reset", "Welcome Ann"]),
        ("token", ["Reset"]),
        ("https://example.com/?token=1", ["Reset"]),
        ("!to:ann", ["Reset"]),
        ("to:example.com subject:ann", ["Welcome Ann"]),
        ("is:unread", ["Reset", "Welcome Ann"]),
        ("is:read", []),
    ],
)
async def test_search(client, mailbox, query, subjects):
    send(mailbox, "Welcome Ann", to="ann@example.com")
    send(mailbox, "Reset", to="bob@example.com", text="https://example.com/?token=1")
    body = (await client.get("/api/v1/search", params={"query": query})).json()
    assert [mail["Subject"] for mail in body["messages"]] == subjects
    assert body["messages_count"] == body["count"] == len(subjects)
    assert body["total"] == 2


async def test_start_and_limit_page_through_the_list(client, mailbox):
    for number in range(4):
        send(mailbox, str(number))
    body = (await client.get("/api/v1/messages?start=1&limit=2")).json()
    assert [mail["Subject"] for mail in body["messages"]] == ["2", "1"]
    assert (body["start"], body["count"], body["total"]) == (1, 2, 4)
    odd = await client.get("/api/v1/messages?start=-1&limit=" + "9" * 5000)
    assert odd.json()["count"] == 4


async def test_delete_takes_ids_or_everything(client, mailbox):
    kept, gone = send(mailbox), send(mailbox)
    delete = client.request
    assert (await delete("DELETE", "/api/v1/messages", json={"IDs": [gone.id]})).text == "ok"
    assert [mail.id for mail in mailbox.newest_first()] == [kept.id]
    assert (await delete("DELETE", "/api/v1/messages", content="[nonsense")).status_code == 400
    assert (await delete("DELETE", "/api/v1/messages")).status_code == 200
    assert len(mailbox) == 0


async def test_only_the_newest_are_kept(mailbox):
    for number in range(8):
        send(mailbox, str(number))
    assert [mail.subject for mail in mailbox.newest_first()] == ["7", "6", "5", "4", "3"]


def test_mails_outlive_a_restart(tmp_path):
    before = Mailbox(tmp_path, capacity=2)
    for number in range(3):
        send(before, str(number))
    (tmp_path / "9_half.json").write_text('{"id": ')
    after = Mailbox(tmp_path, capacity=2)
    assert [mail.subject for mail in after.newest_first()] == ["2", "1"]
    assert after.newest_first()[0].bcc[0].address == "hidden@x.example"
    after.delete()
    assert not list(tmp_path.iterdir())


def test_files_and_folder_of_the_mails_are_for_their_user_alone(tmp_path):
    folder = tmp_path / "inbox"
    before = os.umask(0)
    try:
        send(Mailbox(folder))
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_files_that_others_could_read_are_theirs_no_longer_after_a_start(tmp_path):
    send(Mailbox(tmp_path))
    (file,) = tmp_path.iterdir()
    file.chmod(0o644)
    assert len(Mailbox(tmp_path)) == 1
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00garbage",
        b"Subject: \xff\xfe\r\nFrom: <<>>,@,;\r\nTo: ;;@@<\r\nDate: never\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=no-such\r\n\r\nhi",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Subject: =?utf-8?b?////?=\r\nContent-Disposition: \x00;;=\r\n\r\n",
        b'From: "=?utf-8?q?=00?=" <a@b>\r\nTo: a@b\r\n c@d\r\n\r\nx',
    ],
)
async def test_malformed_mail_is_listed_and_shown(client, mailbox, raw):
    mail = mailbox.add(raw, "a@example.com", ("b@example.com",))
    for path in ("/", f"/mail/{mail.id}", "/api/v1/messages", f"/api/v1/message/{mail.id}"):
        assert (await client.get(path)).status_code == 200


async def test_attachments_are_listed(client, mailbox):
    mail = EmailMessage()
    mail["To"] = "b@example.com"
    mail.set_content("see the file")
    mail.add_attachment(b"12345", maintype="application", subtype="zip", filename="data.zip")
    kept = mailbox.add(mail.as_bytes(), "", ())
    body = (await client.get(f"/api/v1/message/{kept.id}")).json()
    (file,) = body["Attachments"]
    assert (file["FileName"], file["ContentType"], file["Size"]) == (
        "data.zip",
        "application/zip",
        5,
    )
    assert body["Text"] == "see the file\n"


async def test_page_escapes_what_came_by_mail(client, mailbox):
    evil = "<script>alert(1)</script>"
    mail = send(mailbox, evil, text=evil, html=f'"><script>x</script>{evil}')
    for path in ("/", f"/mail/{mail.id}"):
        answer = await client.get(path)
        assert "<script" not in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="' in answer.text


async def test_links_of_a_text_can_be_followed(client, mailbox):
    mail = send(mailbox, text='Go to https://example.com/?a=1&b="2", now.')
    page = (await client.get(f"/mail/{mail.id}")).text
    assert '<a href="https://example.com/?a=1&amp;b=" target="_blank">' in page


async def test_page_of_a_deleted_mail_leads_back(client):
    answer = await client.get("/mail/gone")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


async def test_other_host_names_are_refused(client):
    answer = await client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
