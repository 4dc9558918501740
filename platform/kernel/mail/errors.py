"""Why a mail did not go out, told apart by whether another try can help.

No message holds an address or credentials, nor the server's own words: these often repeat the
address. Of an answer only its numbers are kept.
"""

import re
import ssl
from typing import Final, Literal

from aiosmtplib import SMTPConnectError

from kernel.errors import Permanent

Phase = Literal["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"]

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)", re.ASCII)  # RFC 3463
_LOWEST_CODE, _FAILED_FOR_GOOD = 200, 500
# RFC 4954: a server wants credentials, others, or stronger ones. A letter cannot help that.
_ABOUT_CREDENTIALS: Final = {530, 534, 535, 538}
# What MAIL says about the letter (RFC 1870); all else it says there is about us, the sender.
_TOO_LARGE: Final = 552
_TOO_LARGE_ENHANCED: Final = {"5.2.3", "5.3.4"}


class MailRefused(Permanent):
    """The server refuses this recipient or this letter for good, or the address is no address."""


class MailUnavailable(Exception):
    """The letter cannot be handed over now; it may later, or once an operator has mended it."""


class TemplateFault(Permanent):
    """A template is missing or wrong, or was not given a value that it names."""


def answered(phase: Phase, code: int, text: str) -> MailRefused | MailUnavailable:
    """Return the failure that a server's answer means (RFC 5321, 4.2).

    Refused for good is a 5yz to RCPT or DATA, and to MAIL one about the letter's size. Everything
    else, be it about the connection, the credentials or the sender, is for operators to mend.
    """
    if code < _LOWEST_CODE:
        return MailUnavailable(f"{phase}: the answer of the mail server is not SMTP")
    found = _ENHANCED.match(text)
    enhanced = found[0] if found else ""
    message = f"{phase}: the mail server answered {code} {enhanced}".rstrip()
    about_the_letter = phase in {"RCPT", "DATA"} or (
        phase == "MAIL" and (code == _TOO_LARGE or enhanced in _TOO_LARGE_ENHANCED)
    )
    if code >= _FAILED_FOR_GOOD and about_the_letter and code not in _ABOUT_CREDENTIALS:
        return MailRefused(message)
    return MailUnavailable(message)


def unanswered(phase: Phase, error: Exception) -> MailUnavailable:
    """Return the failure for what kept the server from answering."""
    cause = error.__cause__ if isinstance(error, SMTPConnectError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            reason = f"the certificate is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            reason = f"TLS failed: {cause.reason}"
        case TimeoutError():
            reason = "no answer in time"
        # Nothing was said yet, so that this can hold no more than the server's name and port.
        case OSError() if phase == "connect":
            reason = f"the mail server cannot be reached: {cause}"
        case _:
            reason = "the connection broke off"
    return MailUnavailable(f"{phase}: {reason}")
