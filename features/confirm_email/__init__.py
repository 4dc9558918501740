"""Confirm an e-mail address with the token from the mail, and start a session."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, caller="ignored", limits=(Limit("5/minute"),))
