"""Sends the mails of one run of a job."""

import logging
from pathlib import Path
from uuid import UUID, uuid5

from kernel.config.settings import Settings
from kernel.core.metrics import MAILS
from kernel.mail import letters, templates
from kernel.mail.errors import MailRefused, MailUnavailable
from kernel.mail.smtp import deliver
from kernel.supabase import AsService

log = logging.getLogger(__name__)


class Mailer:
    """Sends the mails of a slice's templates.

    `feature` is the slice's folder, `run_id` the run of the job: a repeated run sends the same
    Message-IDs. `folder` has the templates, if they are not in `features/<feature>/mail`. `db`
    counts the mails of each inbox.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        feature: str,
        run_id: UUID,
        db: AsService,
        folder: Path | None = None,
    ) -> None:
        self._settings, self._feature, self._run_id, self._db = settings, feature, run_id, db
        self._folder = folder or templates.folder_of(feature)

    async def send(
        self, template: str, *, to: str, security: bool = False, **values: object
    ) -> None:
        """Render the template and deliver the mail to the server, which is then responsible for it.

        The template gets `values` and `app_url`, the URL of the application's pages without a
        trailing slash. This takes at most half a minute.

        An inbox gets ten mails an hour of one template, and twenty of all that are not `security`:
        those about an account itself. More are logged and not sent.

        Raises MailRefused for a permanent refusal, MailUnavailable for a temporary one, and
        TemplateFault.
        """
        rendered = templates.render(
            self._folder, template, {**values, "app_url": self._settings.app_base}
        )
        mail_id = uuid5(self._run_id, f"{template}:{to!a}")
        letter = letters.write(
            rendered,
            mail_from=self._settings.mail_from,
            to=to,
            mail_id=mail_id,
        )
        kind = f"{self._feature}/{template}"
        if not await self._db.rpc(
            "admit_mail", mail=str(mail_id), recipient=to, kind=kind, security=security
        ):
            log.warning("A mail was not sent: its inbox has enough of them", extra={"kind": kind})
            MAILS.labels(kind, "capped").inc()
            return
        try:
            await deliver(self._settings, letter)
        except (MailRefused, MailUnavailable) as error:
            MAILS.labels(kind, "refused" if isinstance(error, MailRefused) else "unavailable").inc()
            raise
        MAILS.labels(kind, "sent").inc()
