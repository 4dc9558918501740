from features.shared.files import File
from kernel.supabase import AsCaller
from kernel.web import CursorPage, CursorPaging, Cursors


async def list_files(db: AsCaller, cursors: Cursors, *, paging: CursorPaging) -> CursorPage[File]:
    """Return the page of the caller's files. Raises InvalidCursor."""
    plan = cursors.open(paging)
    rows = await db.rpc("list_files", **plan.arguments)
    return plan.page(rows, File)
