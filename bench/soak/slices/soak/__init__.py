"""Jobs of each kind, which record their starts and effects."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.mail, tasks.compute, tasks.welcome, tasks.tick))
