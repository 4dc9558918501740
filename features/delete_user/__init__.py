"""Delete an account with all its data: your own, or any account as an admin."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, owner="user_id", role="admin", conditional=True)
