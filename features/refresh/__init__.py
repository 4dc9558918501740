"""Go on with a session: new tokens for its refresh token, which works once."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
