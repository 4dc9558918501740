"""Tell its author by e-mail that a thing is published."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_author,))
