"""Delete your own post permanently."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, conditional=True)
