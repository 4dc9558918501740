"""Replace a forgotten password with the token from the mail, and end all sessions."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, caller="ignored", limits=(Limit("5/minute"),))
