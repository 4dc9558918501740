from kernel.supabase import AsCaller
from kernel.web import Caller, Page

from .schema import OwnSession, Paging


async def list_sessions(db: AsCaller, caller: Caller, *, paging: Paging) -> Page[OwnSession]:
    """Return the page, the last used session first."""
    found = await db.rpc("own_sessions", **paging.model_dump(mode="json"))
    current = str(caller.session_id)
    rows = [row | {"current": row["id"] == current} for row in found["sessions"]]
    return Page[OwnSession].of(
        [OwnSession.model_validate(row) for row in rows],
        page=paging.page,
        page_size=paging.page_size,
        total=found["total"],
    )
