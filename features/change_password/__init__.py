"""Choose a new password; the user's other sessions end."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, limits=(Limit("20/15 minutes", per="account"),))
