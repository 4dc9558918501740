"""Delete the own post, for good."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
