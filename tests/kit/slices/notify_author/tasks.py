from uuid import UUID

from kernel.jobs import job
from kernel.mail import Mailer
from kernel.supabase import AsService

from ..shared.things import ThingPublished
from ..shared.users import UserConfirmed


@job(on=ThingPublished, once_per="thing_id")
async def notify_author(thing_id: UUID, author_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the mail, once for each thing."""
    author = await db.user(author_id)
    if author is not None and author.email is not None:
        await mailer.send("published", to=author.email, thing_id=thing_id)


@job(on=UserConfirmed, once_per="user_id")
async def welcome(user_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the mail, once for each user."""
    user = await db.user(user_id)
    if user is not None and user.email is not None:
        await mailer.send("welcome", to=user.email, display_name=user.display_name)
