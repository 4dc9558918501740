"""Notify the author by e-mail when a post is published for the first time."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_author,))
