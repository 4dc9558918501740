"""Act on a thing as its content says: jobs that take long, fail, or kill their process."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.act, tasks.act_blocking, tasks.sweep, tasks.tick))
