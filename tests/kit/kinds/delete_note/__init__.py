"""Delete one of your own notes permanently."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, conditional=True)
