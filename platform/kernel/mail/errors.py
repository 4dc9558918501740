"""Mail failures, separated by whether a retry can help.

No message contains an address, credentials, or the server's text, which often repeats the address.
Only the numbers of a reply are kept.
"""

import re
import ssl
from typing import Final, Literal

from aiosmtplib import SMTPConnectError

from kernel.errors import Permanent, Temporary

Phase = Literal["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"]

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)", re.ASCII)  # RFC 3463
_LOWEST_CODE, _FAILED_FOR_GOOD = 200, 500
# RFC 4954: the server wants credentials, or others. Another letter cannot help.
_ABOUT_CREDENTIALS: Final = {530, 534, 535, 538}
# What MAIL says about the letter (RFC 1870); its other codes are about us, the sender.
_TOO_LARGE: Final = 552
_TOO_LARGE_ENHANCED: Final = {"5.2.3", "5.3.4"}


class MailRefused(Permanent):
    """The server refuses this recipient or letter permanently, or the address is invalid."""


class MailUnavailable(Temporary):
    """The letter cannot be delivered now; a retry or an operator may solve it."""


class TemplateFault(Permanent):
    """A template is missing or invalid, or needs a value that was not given."""


def answered(phase: Phase, code: int, text: str) -> MailRefused | MailUnavailable:
    """Return the failure for a server's reply (RFC 5321, 4.2).

    Permanent refusals are a 5yz to RCPT or DATA, and a reply to MAIL about the letter's size. All
    others, about the connection, the credentials or the sender, are for operators to solve.
    """
    if code < _LOWEST_CODE:
        return MailUnavailable(f"{phase}: the reply of the mail server is not SMTP")
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
    """Return the failure for an error that prevented a reply."""
    cause = error.__cause__ if isinstance(error, SMTPConnectError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            reason = f"the certificate is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            reason = f"TLS failed: {cause.reason}"
        case TimeoutError():
            reason = "no answer in time"
        # Before any command, this holds no more than the server's name and port.
        case OSError() if phase == "connect":
            reason = f"the mail server cannot be reached: {cause}"
        case _:
            reason = "the connection was lost"
    return MailUnavailable(f"{phase}: {reason}")
