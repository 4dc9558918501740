"""Remove objects of deleted files and users, and requests whose upload never came."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.remove_object, tasks.clear_pending, tasks.remove_unused))
