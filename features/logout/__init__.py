"""End your own session, your other sessions, or all of them."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
