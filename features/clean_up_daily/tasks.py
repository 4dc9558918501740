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

    Then archives lose the ids of users who were deleted 91 days ago, and the kept totals of lists
    are compared with their rows. A log line has the numbers of archived and deleted rows for each
    table, and of corrected totals. With CLEANUP_DRY_RUN it has the numbers that would be affected,
    and nothing changes.
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
    for kept in await db.rpc("kept_totals"):
        name = kept["name"]
        report[f"{name}_totals_corrected"] = await _corrected(db, name, dry_run=dry_run)
    log.info("cleanup", extra={"dry_run": dry_run, **report})


async def _corrected(db: AsService, name: str, *, dry_run: bool) -> int:
    """Compare a total with its rows and correct it; return how many numbers were wrong.

    A number is wrong where rows were written while triggers were off: by a restore, an import.
    """
    wrong: int | None = await db.rpc("repair_total", list=name, dry_run=dry_run)
    if wrong is None:
        log.warning("A table is too large to be counted here", extra={"total": name})
    elif wrong:
        log.warning("Totals were wrong", extra={"total": name, "number": wrong})
    return wrong or 0


async def _in_batches(batch: Callable[[], Awaitable[int]], *, dry_run: bool) -> int:
    """Do batches until one is not full; return how much was done. A dry run counts all at once."""
    total, done = 0, BATCH
    while done >= BATCH:
        done = await batch()
        total += done
        if dry_run:
            break
    return total
