"""Tell load balancers and people whether this process and the parts behind it work."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="ignored", limited=False)
