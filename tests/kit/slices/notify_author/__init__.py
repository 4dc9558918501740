"""Send mails: to the author of a published thing, and to a new user."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_author, tasks.welcome))
