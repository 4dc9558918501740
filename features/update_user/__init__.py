"""Change the own e-mail address or display name."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, owner="user_id")
