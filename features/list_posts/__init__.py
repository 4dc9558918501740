"""Read a page of posts, newest first; authors can include their own drafts."""

from kernel import Feature

from . import cache, route

feature = Feature(router=route.router, caller="optional", weight=2, topics=(cache.TOPIC,))
