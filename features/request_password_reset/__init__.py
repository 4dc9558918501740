"""Request a link by e-mail to replace a forgotten password."""

from kernel import Feature, Limit

from . import route, tasks

feature = Feature(
    router=route.router,
    caller="ignored",
    limits=(Limit("5/minute"),),
    jobs=(tasks.send_reset_email,),
)
