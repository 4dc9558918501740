"""Read one of your own notes."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
