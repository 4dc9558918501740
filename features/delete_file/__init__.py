"""Delete an own file permanently, in any state."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
