from uuid import UUID

from features.shared.users import AccountChanged
from kernel.identity import NewToken
from kernel.jobs import job, seconds
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=AccountChanged, once_per="notice_id", retries=3, retry_every=seconds(60))
async def notify_owner(notice_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Write to the address from before the change, whatever made the change.

    The mail about a new address has a link that undoes the change, for seven days.
    """
    token = NewToken()
    notice = await db.rpc("issue_notice", notice=str(notice_id), **token.arguments)
    if notice is not None:
        await mailer.send(notice["kind"], to=notice["email"], security=True, token=token.text)
