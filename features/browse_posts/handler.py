from features.shared.posts import ListedPost
from kernel.supabase import AsCaller
from kernel.web import CursorPage, CursorPaging, Cursors


async def browse_posts(
    db: AsCaller, cursors: Cursors, *, paging: CursorPaging
) -> CursorPage[ListedPost]:
    """Return the page of published posts. Raises InvalidCursor."""
    plan = cursors.open(paging)
    rows = await db.rpc("browse_posts", **plan.arguments)
    return plan.page(rows, ListedPost)
