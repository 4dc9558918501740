"""Read a page of your own notes, newest first."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, weight=2)
