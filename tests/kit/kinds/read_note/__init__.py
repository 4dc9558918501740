"""Read one of the own notes."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
