"""Begin a session with e-mail address and password."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
