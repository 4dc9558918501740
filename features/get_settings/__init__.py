"""Read the settings of the site."""

from kernel import Feature

from . import cache, route

feature = Feature(router=route.router, caller="ignored", topics=(cache.TOPIC,))
