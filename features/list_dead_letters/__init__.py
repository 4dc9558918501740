"""Read a page of dead letters, as an admin: jobs that failed, and messages that cannot be read."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, role="admin")
