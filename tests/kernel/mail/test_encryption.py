"""With starttls or tls only the greeting is unencrypted, and only a trusted server gets more."""

import asyncio
import contextlib
import gc

import pytest

from kernel.mail import MailUnavailable
from kernel.mail import smtp as conversation
from kernel.supabase import AsService, SupabaseHttp

TO = "ada@example.com"
LOGIN = {"smtp_username": "ada", "smtp_password": "correct horse 9"}
OFFERS = ["STARTTLS", "SMTPUTF8"]
OFFERS_IN_TLS = ["AUTH PLAIN", "SMTPUTF8"]


@pytest.fixture
def trusted(certificate, monkeypatch):
    """A server's TLS context that this process trusts, by OpenSSL's variable SSL_CERT_FILE."""
    context, file = certificate()
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return context


async def test_starttls_hides_credentials_and_mail(smtp, mailer_for, trusted):
    server = await smtp(offers=OFFERS, offers_in_tls=OFFERS_IN_TLS, tls=trusted)
    mailer = mailer_for(server.port, smtp_security="starttls", **LOGIN)
    await mailer.send("welcome", to=TO, display_name=None)
    assert len(server.mails) == 1
    assert [line.split()[0] for line in server.in_clear_text] == ["EHLO", "STARTTLS"]
    assert [line.split()[0] for line in server.commands[2:4]] == ["EHLO", "AUTH"]


async def test_extensions_offered_before_tls_are_ignored(smtp, mailer_for, trusted):
    server = await smtp(
        offers=["STARTTLS", "AUTH LOGIN"], offers_in_tls=["AUTH PLAIN"], tls=trusted
    )
    mailer = mailer_for(server.port, smtp_security="starttls", **LOGIN)
    await mailer.send("welcome", to=TO, display_name=None)
    assert server.commands[3].startswith("AUTH PLAIN ")


async def test_tls_from_the_first_byte_hides_everything(smtp, mailer_for, trusted):
    server = await smtp(offers_in_tls=OFFERS_IN_TLS, tls=trusted, implicit=True)
    mailer = mailer_for(server.port, smtp_security="tls", **LOGIN)
    await mailer.send("welcome", to=TO, display_name=None)
    assert len(server.mails) == 1
    assert server.in_clear_text == []


@pytest.mark.parametrize("answers", [{}, {"RCPT": "silent"}, {"greeting": "silent"}])
async def test_an_event_loop_may_end_directly_after_the_mail(
    smtp, mailer_for, connections, settings, trusted, monkeypatch, answers
):
    monkeypatch.setattr(conversation, "COMMAND_SECONDS", 0.3 if answers else 10)
    server = await smtp(answers=answers, tls=trusted, implicit=True)

    async def send():
        async with SupabaseHttp(settings) as http:
            mailer = mailer_for(server.port, smtp_security="tls", db=AsService(http))
            with contextlib.suppress(MailUnavailable):
                await mailer.send("welcome", to=TO, display_name=None)
        (connection,) = connections.values()
        await connection.aclose()

    def run():
        asyncio.run(send())
        gc.collect()  # an open connection would cause a warning here, and warnings are errors

    await asyncio.to_thread(run)
    async with asyncio.timeout(10):
        await server.left()
    assert len(server.mails) == (not answers)


async def test_a_server_without_starttls_gets_nothing(smtp, mailer_for):
    server = await smtp(offers=["AUTH PLAIN"])
    mailer = mailer_for(server.port, smtp_security="starttls", **LOGIN)
    with pytest.raises(MailUnavailable, match="STARTTLS: the mail server does not support it"):
        await mailer.send("welcome", to=TO, display_name=None)
    assert [line.split()[0] for line in server.commands] == ["EHLO"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("454 4.7.0 Not now", "STARTTLS: the mail server answered 454 4.7.0"),
        ("drops", "STARTTLS: the connection was lost"),
        ("silent", "STARTTLS: no answer in time"),
    ],
)
async def test_after_a_failed_starttls_nothing_is_sent_unencrypted(
    smtp, mailer_for, monkeypatch, answer, message
):
    monkeypatch.setattr(conversation, "COMMAND_SECONDS", 0.3)
    server = await smtp(offers=["STARTTLS", "AUTH PLAIN"], answers={"STARTTLS": answer})
    mailer = mailer_for(server.port, smtp_security="starttls", **LOGIN)
    with pytest.raises(MailUnavailable) as raised:
        await mailer.send("welcome", to=TO, display_name=None)
    assert str(raised.value) == message
    assert {line.split()[0] for line in server.commands} <= {"EHLO", "STARTTLS", "QUIT"}


@pytest.mark.parametrize(("security", "phase"), [("starttls", "STARTTLS"), ("tls", "connect")])
class TestCertificate:
    async def send(self, smtp, mailer_for, context, security):
        server = await smtp(
            offers=OFFERS, offers_in_tls=OFFERS_IN_TLS, tls=context, implicit=security == "tls"
        )
        mailer = mailer_for(server.port, smtp_security=security, **LOGIN)
        with pytest.raises(MailUnavailable) as raised:
            await mailer.send("welcome", to=TO, display_name=None)
        assert {line.split()[0] for line in server.commands} <= {"EHLO", "STARTTLS"}
        return str(raised.value)

    async def test_an_untrusted_certificate_is_refused(
        self, smtp, mailer_for, certificate, security, phase
    ):
        context, _ = certificate()
        message = await self.send(smtp, mailer_for, context, security)
        assert message.startswith(f"{phase}: the certificate is not trusted: self")

    @pytest.mark.parametrize(
        ("made", "reason"),
        [({"host": "127.0.0.2"}, "IP address mismatch"), ({"days": -1}, "certificate has expired")],
    )
    async def test_a_certificate_for_another_host_or_time_is_refused(
        self, smtp, mailer_for, certificate, monkeypatch, security, phase, made, reason
    ):
        context, file = certificate(**made)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        message = await self.send(smtp, mailer_for, context, security)
        assert message.startswith(f"{phase}: the certificate is not trusted: {reason}")


async def test_a_server_without_the_expected_tls_is_a_temporary_failure(smtp, mailer_for):
    server = await smtp()
    with pytest.raises(MailUnavailable, match="connect: TLS failed: "):
        await mailer_for(server.port, smtp_security="tls").send("welcome", to=TO, display_name=None)
    assert server.mails == []
