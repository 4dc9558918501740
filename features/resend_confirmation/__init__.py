"""Ask for another mail with the link that confirms a new address."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, caller="ignored", limits=(Limit("5/minute"),))
