"""Write a note."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, idempotent=True, limits=(Limit("60/minute", per="user"),))
