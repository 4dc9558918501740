"""Replace the content of your own post, publish it, or make it a draft again."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, conditional=True)
