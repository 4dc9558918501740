"""Sends the mails of one run of a job."""

from pathlib import Path
from uuid import UUID

from kernel.config.settings import Settings
from kernel.mail import letters, templates
from kernel.mail.smtp import deliver


class Mailer:
    """Sends the mails that a slice has templates for.

    `feature` is the name of the slice's folder, `run_id` the run of the job that sends: a run that
    is repeated sends the same Message-IDs. `folder` holds the templates, where they are not in
    `features/<feature>/mail`.
    """

    def __init__(
        self, settings: Settings, *, feature: str, run_id: UUID, folder: Path | None = None
    ) -> None:
        self._settings, self._run_id = settings, run_id
        self._folder = folder or templates.folder_of(feature)

    async def send(self, template: str, *, to: str, **values: object) -> None:
        """Render the template and hand the mail to the server, which then answers for it.

        The template sees `values` and `app_url`, the address of the application's pages without a
        slash at its end. It takes half a minute at most.

        Raises MailRefused when the server will never take it, MailUnavailable when it may later,
        and TemplateFault.
        """
        rendered = templates.render(
            self._folder, template, {**values, "app_url": self._settings.app_base}
        )
        letter = letters.write(
            rendered,
            mail_from=self._settings.mail_from,
            to=to,
            run_id=self._run_id,
            template=template,
        )
        await deliver(self._settings, letter)
