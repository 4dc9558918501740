"""Change the settings of the site, as an admin."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, conditional=True, role="admin")
