from uuid import UUID

from kernel.jobs import job, minutes
from kernel.mail import Mailer
from kernel.supabase import AsService

from ..shared.notes import NoteCreated


@job(on=NoteCreated, once_per="note_id", timeout=minutes(1), retries=3)
async def notify_owner(note_id: UUID, user_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the mail, once for each note; none without a note or an address."""
    owner = await db.user(user_id)
    found = await db.table("notes").select("id").eq("id", str(note_id)).execute()
    if owner is None or owner.email is None or not found.data:
        return
    await mailer.send("created", to=owner.email, display_name=owner.display_name, note_id=note_id)
