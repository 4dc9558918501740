from uuid import UUID

from features.shared.users import UserConfirmed
from kernel.jobs import job, minutes, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(
    on=UserConfirmed,
    once_per="user_id",
    timeout=minutes(5),
    retries=3,
    retry_every=seconds(60),
)
async def send_welcome_email(user_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Welcome a new user by e-mail, once; a user who is gone already gets none."""
    user = await db.user(user_id)
    if user is not None:
        await mailer.send("welcome", to=user.email, display_name=user.display_name)
