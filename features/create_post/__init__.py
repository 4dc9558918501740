"""Write a post, as a draft or published at once."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, idempotent=True)
