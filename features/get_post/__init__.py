"""Read one post: a published one by anyone, a draft by its author."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="optional")
