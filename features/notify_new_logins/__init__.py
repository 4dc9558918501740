"""Tell users by e-mail about a login from a network or device that is new to their account."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.tell_owner,))
