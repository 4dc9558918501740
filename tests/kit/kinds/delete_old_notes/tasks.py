import logging

from kernel.jobs import daily, job, minutes
from kernel.supabase import AsService

log = logging.getLogger(__name__)

DAYS = 365
BATCH = 1000


@job(schedule=daily("04:00"), timeout=minutes(5), retries=3)
async def delete_old_notes(db: AsService) -> None:
    """Delete them in batches; a log line has their number."""
    total, gone = 0, BATCH
    while gone == BATCH:
        gone = await db.rpc("delete_old_notes", days=DAYS, batch=BATCH)
        total += gone
    log.info("delete_old_notes", extra={"deleted": total})
