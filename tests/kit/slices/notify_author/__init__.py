"""Write mails: to the author of a thing that is published, and to a new user."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_author, tasks.welcome))
