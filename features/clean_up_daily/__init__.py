"""Move and delete each day what the database need not keep any longer."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.clean_up,))
