from uuid import UUID

from features.shared.passwords import PasswordResetRequested
from kernel.jobs import job, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService, AuthAdmin


@job(on=PasswordResetRequested, once_per="reset_id", retries=3, retry_every=seconds(60))
async def send_reset_email(reset_id: UUID, db: AsService, admin: AuthAdmin, mailer: Mailer) -> None:
    """Send the link, once; an address without an account, or with five mails an hour, gets none.

    Each attempt makes a new token, and only the newest counts.
    """
    email = await db.rpc("open_password_reset", reset_id=str(reset_id))
    token = await admin.recovery_token(email) if email else None
    if token is not None:
        await mailer.send("reset", to=email, token=token)
