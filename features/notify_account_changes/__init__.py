"""Tell the owner of an account by e-mail when its password, address or existence changed."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.notify_owner,))
