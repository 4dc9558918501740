from kernel.supabase import AsCaller
from kernel.web import Page

from .schema import DeadLetter, Paging


async def list_dead_letters(db: AsCaller, *, paging: Paging) -> Page[DeadLetter]:
    """Return the page; the database shows dead letters only to admins, too."""
    found = await db.rpc("list_dead_letters", **paging.model_dump(mode="json"))
    return Page[DeadLetter].of(
        [DeadLetter.model_validate(row) for row in found["dead_letters"]],
        page=paging.page,
        page_size=paging.page_size,
        total=found["total"],
    )
