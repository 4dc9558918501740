"""End one of the own sessions, on whatever device it is."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
