"""Read a user: the full user as its owner or an admin, the public profile as another user."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
