from uuid import UUID

from kernel.jobs import job, minutes
from kernel.mail import Mailer
from kernel.supabase import AsService

from ..shared.asked import BenchMailAsked


@job(on=BenchMailAsked, once_per="user_id", timeout=minutes(5))
async def mail(user_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Read the user, and send a mail with a text and HTML."""
    user = await db.user(user_id)
    if user is not None and user.email is not None:
        await mailer.send("note", to=user.email, display_name=user.display_name)
