"""Delete an account with everything that belongs to it: one's own, or any as an admin."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, owner="user_id", role="admin")
