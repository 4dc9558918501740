"""Tell the author by e-mail that a post was published for the first time."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_author,))
