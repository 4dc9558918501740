"""Create an account and, where addresses need no confirmation, begin its first session."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
