"""Confirm an e-mail address with the token from the mail, and begin a session."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
