"""Mail from jobs: `await mailer.send("welcome", to=…, display_name=…)`.

A slice's mails are templates in its folder: `features/<slice>/mail/welcome.txt`, and optionally
`welcome.html`.
"""

from kernel.mail.errors import MailRefused, MailUnavailable, TemplateFault
from kernel.mail.mailer import Mailer

__all__ = ["MailRefused", "MailUnavailable", "Mailer", "TemplateFault"]
