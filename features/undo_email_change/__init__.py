"""Undo a change of address with the token sent to the old one, and end all sessions."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, caller="ignored", limits=(Limit("5/minute"),))
