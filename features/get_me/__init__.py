"""Read your own user."""

from kernel import Feature

from . import cache, route

feature = Feature(router=route.router, topics=(cache.TOPIC,))
