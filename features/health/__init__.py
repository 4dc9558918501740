"""Report to load balancers and people whether this process and its services work."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored", limited=False)
