"""Sends the mails of one run of a job."""

import logging
from pathlib import Path
from uuid import UUID, uuid5

from kernel.config.settings import Settings
from kernel.mail import letters, templates
from kernel.mail.smtp import deliver
from kernel.supabase import AsService

log = logging.getLogger(__name__)


class Mailer:
    """Sends the mails that a slice has templates for.

    `feature` is the name of the slice's folder, `run_id` the run of the job that sends: a run that
    is repeated sends the same Message-IDs. `folder` holds the templates, where they are not in
    `features/<feature>/mail`. `db` counts what each inbox gets.
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
        """Render the template and hand the mail to the server, which then answers for it.

        The template sees `values` and `app_url`, the address of the application's pages without a
        slash at its end. It takes half a minute at most.

        An inbox gets ten mails an hour of one template, and twenty of all that are not `security`:
        those about an account itself. What is more is logged and not sent.

        Raises MailRefused when the server will never take it, MailUnavailable when it may later,
        and TemplateFault.
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
            return
        await deliver(self._settings, letter)
