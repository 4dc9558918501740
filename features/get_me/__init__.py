"""Read your own user."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
