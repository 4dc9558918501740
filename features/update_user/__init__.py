"""Change your own e-mail address or display name."""

from kernel import Feature

from . import route, tasks

feature = Feature(
    router=route.router,
    owner="user_id",
    conditional=True,
    jobs=(tasks.send_link_to_new_address, tasks.warn_old_address),
)
