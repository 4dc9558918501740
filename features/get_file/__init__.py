"""Read what is known of an own file, and whether it is ready."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
