from uuid import UUID

from features.shared.users import NewLogin
from kernel.jobs import job, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=NewLogin, once_per="notice_id", retries=3, retry_every=seconds(60))
async def tell_owner(notice_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Describe the login: when, from which address, by which kind of device."""
    notice = await db.rpc("login_notice", notice=str(notice_id))
    if notice is not None:
        await mailer.send(
            "new_login",
            to=notice["email"],
            security=True,
            device=notice["device"],
            address=notice["address"],
            at=notice["at"],
        )
