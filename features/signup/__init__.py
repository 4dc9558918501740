"""Create an account and, where addresses need no confirmation, begin its first session."""

from kernel import Feature

from . import route, tasks

feature = Feature(router=route.router, caller="ignored", jobs=(tasks.send_welcome_email,))
