"""Jobs: work that follows from an event or a schedule, done once, by a worker.

Events come from the outbox; the relay publishes a run of each job that listens, a worker performs
it under a lease. docs/TASKS.md says how to add one.
"""

from kernel.core.durations import minutes, seconds
from kernel.errors import Permanent
from kernel.jobs.job import Job, job
from kernel.jobs.schedule import daily, every

__all__ = ["Job", "Permanent", "daily", "every", "job", "minutes", "seconds"]
