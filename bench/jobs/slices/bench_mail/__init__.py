"""Send a mail to a user, as the application's slices do."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.mail,))
