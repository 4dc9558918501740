import logging

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
        report[f"{name}_{action}"] = await _all(db, "apply_retention", dry_run=dry_run, rule=name)
    report["users_forgotten"] = await _all(db, "forget_deleted_users", dry_run=dry_run)
    log.info("cleanup", extra={"dry_run": dry_run, **report})


async def _all(db: AsService, function: str, *, dry_run: bool, **arguments: str) -> int:
    """Call the function batch by batch until all is done; return how much that was."""
    total, done = 0, BATCH
    while done >= BATCH:
        done = await db.rpc(function, batch=BATCH, dry_run=dry_run, **arguments)
        total += done
        if dry_run:
            break
    return total
