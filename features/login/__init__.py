"""Start a session with e-mail address and password."""

from kernel import Feature, Limit

from . import route

feature = Feature(
    router=route.router,
    caller="ignored",
    limits=(Limit("10/minute"), Limit("20/15 minutes", per="account")),
)
