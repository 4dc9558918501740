"""Notify the owner of an account by e-mail of a new password, a new address or a deletion."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_owner,))
