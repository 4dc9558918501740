"""Sends the mails of one run of a job."""

import logging
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid5

from kernel.config.settings import Settings
from kernel.core.metrics import MAILS
from kernel.mail import letters, templates
from kernel.mail.errors import MailRefused, MailUnavailable
from kernel.mail.inboxes import Inboxes
from kernel.mail.smtp import SmtpConnections

log = logging.getLogger(__name__)


class Mailer:
    """Sends the mails of a slice's templates.

    `feature` is the slice's folder, `run_id` the run of the job: a repeated run sends the same
    Message-IDs. `folder` has the templates, if they are not in `features/<feature>/mail`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        feature: str,
        run_id: UUID,
        inboxes: Inboxes,
        smtp: SmtpConnections,
        folder: Path | None = None,
    ) -> None:
        self._settings, self._feature, self._run_id, self._inboxes = (
            settings,
            feature,
            run_id,
            inboxes,
        )
        self._smtp = smtp
        self._folder = folder or templates.folder_of(feature)

    async def send(
        self,
        template: str,
        *,
        to: str,
        language: str | None = None,
        security: bool = False,
        notification: bool = False,
        **values: object,
    ) -> None:
        """Render the template and deliver the mail to the server, which is then responsible for it.

        The template gets `values`, `language` and `app_url`, the URL of the application's pages
        without a trailing slash. `language` is the reader's: the mail is in that language if there
        is a template for it, otherwise in English. This takes at most half a minute.

        An inbox gets ten mails an hour of one template, and twenty of all that are not `security`:
        those about an account itself. More are logged and not sent. A `notification` is a mail that
        its reader may not want; with MAIL_UNSUBSCRIBE it has a List-Unsubscribe header.

        Raises MailRefused for a permanent refusal, MailUnavailable for a temporary one,
        TemplateFault, and ValueError for a notification about security.
        """
        if security and notification:
            raise ValueError("nobody can unsubscribe from mails about the security of an account")
        kind = f"{self._feature}/{template}"
        rendered = templates.render(
            self._folder,
            template,
            {**values, "app_url": self._settings.app_base},
            language=language,
        )
        mail_id = uuid5(self._run_id, f"{template}:{to!a}")
        letter = letters.write(
            rendered,
            mail_from=self._settings.mail_from,
            to=to,
            mail_id=mail_id,
            return_path=self._settings.mail_return_path,
            unsubscribe=self._unsubscribe(kind) if notification else None,
        )
        if not await self._inboxes.admit(mail_id, recipient=to, kind=kind, security=security):
            log.warning("A mail was not sent: its inbox has enough of them", extra={"kind": kind})
            MAILS.labels(kind, "capped").inc()
            return
        try:
            await self._smtp.deliver(letter)
        except (MailRefused, MailUnavailable) as error:
            MAILS.labels(kind, "refused" if isinstance(error, MailRefused) else "unavailable").inc()
            raise
        MAILS.labels(kind, "sent").inc()

    def _unsubscribe(self, kind: str) -> str | None:
        """Return the mailto URL (RFC 6068) that asks for no more mails of this kind."""
        address = self._settings.mail_unsubscribe
        if address is None:
            return None
        return f"mailto:{quote(address, safe='@')}?subject={quote(f'unsubscribe {kind}', safe='')}"
