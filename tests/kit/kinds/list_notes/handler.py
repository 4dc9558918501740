from kernel.supabase import AsCaller
from kernel.web import Page

from ..shared.notes import Note
from .schema import Paging


async def list_notes(db: AsCaller, *, paging: Paging) -> Page[Note]:
    """Return the page, with the notes that row security lets the caller see."""
    found = await db.rpc("list_notes", **paging.model_dump(mode="json"))
    notes = [Note.model_validate(row) for row in found["notes"]]
    return Page[Note].of(notes, page=paging.page, page_size=paging.page_size, total=found["total"])
