"""Replace a forgotten password with the token from the mail, and end all sessions."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
