from uuid import UUID

from features.shared.users import ConfirmationRequested, UserConfirmed
from kernel.identity import mailed_tokens
from kernel.jobs import job, minutes, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=ConfirmationRequested, once_per="confirmation_id", retries=3, retry_every=seconds(60))
async def send_confirmation_email(confirmation_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the link that confirms a new address; no mail for an account, or after five mails."""
    issued = await mailed_tokens.issue(db, confirmation_id)
    if issued is not None:
        to, token = issued
        await mailer.send("confirm", to=to, security=True, token=token)


@job(
    on=UserConfirmed,
    once_per="user_id",
    timeout=minutes(5),
    retries=3,
    retry_every=seconds(60),
)
async def send_welcome_email(user_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send a welcome mail to a new user, once; a deleted user gets none."""
    user = await db.user(user_id)
    if user is not None and user.email is not None:
        await mailer.send(
            "welcome", to=user.email, language=user.language, display_name=user.display_name
        )
