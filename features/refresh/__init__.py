"""Continue a session: get new tokens for its refresh token, which works once."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, caller="ignored", limits=(Limit("30/minute"),))
