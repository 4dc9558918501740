"""Follow live updates over a WebSocket: which topics changed, so that the client reads again."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="optional")
