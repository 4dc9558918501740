"""Read one post: a published one without a token, a draft as its author."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="optional")
