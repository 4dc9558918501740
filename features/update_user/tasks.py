from uuid import UUID

from features.shared.users import EmailChangeRequested
from kernel.identity import mailed_tokens
from kernel.jobs import job, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=EmailChangeRequested, once_per="change_id", retries=3, retry_every=seconds(60))
async def send_link_to_new_address(change_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the link that proves the new address, unless there is a later request."""
    issued = await mailed_tokens.issue(db, change_id)
    if issued is not None:
        to, token = issued
        await mailer.send("confirm", to=to, security=True, token=token)


@job(on=EmailChangeRequested, once_per="change_id", retries=3, retry_every=seconds(60))
async def warn_old_address(change_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Notify the current address, if it was ever confirmed, that a new one was requested."""
    to = await db.rpc("email_change_from", request=str(change_id))
    if to is not None:
        await mailer.send("asked", to=to, security=True)
