from kernel.supabase import AsCaller
from kernel.web import Page

from .schema import JobRun, Paging


async def list_runs(db: AsCaller, *, paging: Paging) -> Page[JobRun]:
    """Return the page; the database shows runs only to admins, too."""
    found = await db.rpc("list_runs", **paging.model_dump(mode="json"))
    return Page[JobRun].of(
        [JobRun.model_validate(row) for row in found["runs"]],
        page=paging.page,
        page_size=paging.page_size,
        total=found["total"],
    )
