"""Do to a post what its content says: jobs for tests, which take long, fail, or kill themselves."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.act, tasks.act_blocking, tasks.tick))
