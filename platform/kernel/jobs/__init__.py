"""Jobs: work that a worker performs once after an event, or on a schedule.

Events come from the outbox. The relay publishes a run of each job that listens to the event, and a
worker performs the run under a lease. docs/TASKS.md says how to add one.
"""

from kernel.core.durations import minutes, seconds
from kernel.errors import Permanent, Temporary
from kernel.jobs.job import Job, job
from kernel.jobs.schedule import cron, daily, every

__all__ = ["Job", "Permanent", "Temporary", "cron", "daily", "every", "job", "minutes", "seconds"]
