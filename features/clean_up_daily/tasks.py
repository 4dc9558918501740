import logging
from collections.abc import Awaitable, Callable

from kernel.config import Settings
from kernel.jobs import daily, job, minutes
from kernel.supabase import AsService

log = logging.getLogger(__name__)

BATCH = 1000


@job(schedule=daily("02:00"), timeout=minutes(9))
async def clean_up(db: AsService, settings: Settings) -> None:
    """Apply every rule that migrations state by `retention.keep`, in batches.

    Then archives lose the ids of users who were deleted 91 days ago. A log line has the numbers of
    archived and deleted rows for each table. With CLEANUP_DRY_RUN it has the numbers that would be
    affected, and nothing changes.
    """
    dry_run = settings.cleanup_dry_run
    report: dict[str, int] = {}
    for rule in await db.rpc("retention_rules"):
        name, action = rule["name"], "archived" if rule["archived"] else "deleted"
        report[f"{name}_{action}"] = await _in_batches(
            lambda: db.rpc("apply_retention", rule=name, batch=BATCH, dry_run=dry_run),  # noqa: B023 - called at once
            dry_run=dry_run,
        )
    report["users_forgotten"] = await _in_batches(
        lambda: db.rpc("forget_deleted_users", batch=BATCH, dry_run=dry_run), dry_run=dry_run
    )
    log.info("cleanup", extra={"dry_run": dry_run, **report})


async def _in_batches(batch: Callable[[], Awaitable[int]], *, dry_run: bool) -> int:
    """Do batches until one is not full; return how much was done. A dry run counts all at once."""
    total, done = 0, BATCH
    while done >= BATCH:
        done = await batch()
        total += done
        if dry_run:
            break
    return total
