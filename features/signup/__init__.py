"""Create an account and, if addresses need no confirmation, start its first session."""

from kernel import Feature, Limit

from . import route, tasks

feature = Feature(
    router=route.router,
    caller="ignored",
    limits=(Limit("5/minute"),),
    jobs=(tasks.send_confirmation_email, tasks.send_welcome_email),
)
