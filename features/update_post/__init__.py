"""Replace what the own post says, publish it, or make it a draft again."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
