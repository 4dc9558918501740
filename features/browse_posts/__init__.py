"""Read published posts, newest first, in pages that stay stable while posts come and go."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="optional", weight=2)
