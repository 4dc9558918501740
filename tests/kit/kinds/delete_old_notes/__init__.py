"""Delete each night the notes that nobody has changed for a year."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.delete_old_notes,))
