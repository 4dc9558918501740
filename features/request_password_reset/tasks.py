from uuid import UUID

from features.shared.passwords import PasswordResetRequested
from kernel.identity import mailed_tokens
from kernel.jobs import job, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=PasswordResetRequested, once_per="reset_id", retries=3, retry_every=seconds(60))
async def send_reset_email(reset_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the link, once; no mail without an account, or after five mails in an hour.

    It invalidates the link of an earlier request.
    """
    issued = await mailed_tokens.issue(db, reset_id)
    if issued is not None:
        to, token = issued
        await mailer.send("reset", to=to, security=True, token=token)
