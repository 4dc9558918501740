"""Archive and delete each day the rows that have passed their retention period."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.clean_up,))
