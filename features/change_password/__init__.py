"""Choose a new password; the user's other sessions end."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
