"""Read the settings of the site."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored")
