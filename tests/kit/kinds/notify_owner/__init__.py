"""Notify the owner by e-mail of a new note."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_owner,))
