"""Read a page of runs of jobs, newest first, as an admin."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, role="admin")
