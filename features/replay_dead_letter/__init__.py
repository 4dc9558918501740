"""Run the job of a dead letter again, once, as an admin."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, role="admin", idempotent=True)
