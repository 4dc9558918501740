"""Sends the mails of one run of a job."""

from pathlib import Path
from uuid import UUID

from kernel.config.settings import Settings
from kernel.mail import letters, templates
from kernel.mail.smtp import deliver


class Mailer:
    """Sends the mails of a slice's templates.

    `feature` is the slice's folder, `run_id` the run of the job: a repeated run sends the same
    Message-IDs. `folder` has the templates, if they are not in `features/<feature>/mail`.
    """

    def __init__(
        self, settings: Settings, *, feature: str, run_id: UUID, folder: Path | None = None
    ) -> None:
        self._settings, self._run_id = settings, run_id
        self._folder = folder or templates.folder_of(feature)

    async def send(self, template: str, *, to: str, **values: object) -> None:
        """Render the template and deliver the mail to the server, which is then responsible for it.

        The template gets `values` and `app_url`, the URL of the application's pages without a
        trailing slash. This takes at most half a minute.

        Raises MailRefused for a permanent refusal, MailUnavailable for a temporary one, and
        TemplateFault.
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
