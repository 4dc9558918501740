import logging

from kernel.config import Settings
from kernel.jobs import daily, job, minutes
from kernel.supabase import AsService

log = logging.getLogger(__name__)

BATCH = 1000


@job(schedule=daily("02:00"), timeout=minutes(9))
async def clean_up(db: AsService, settings: Settings) -> None:
    """Carry out every rule that the migrations state by `retention.keep`, batch by batch.

    One line of the log says how many rows of which table were archived or deleted. With
    CLEANUP_DRY_RUN it says how many it would be, and touches nothing.
    """
    dry_run = settings.cleanup_dry_run
    report: dict[str, int] = {}
    for rule in await db.rpc("retention_rules"):
        name, done = rule["name"], BATCH
        action = "archived" if rule["archived"] else "deleted"
        report[f"{name}_{action}"] = 0
        while done >= BATCH:
            done = await db.rpc("apply_retention", rule=name, batch=BATCH, dry_run=dry_run)
            report[f"{name}_{action}"] += done
            if dry_run:
                break
    log.info("cleanup", extra={"dry_run": dry_run, **report})
