"""Receive a signed message of another system: store it once, and let jobs do the work."""

from kernel import Feature, Limit

from . import route
from .schema import ReceiveDeliverySettings

feature = Feature(
    router=route.router,
    caller="ignored",  # the signature says who calls
    limits=(Limit("600/minute"),),
    settings=ReceiveDeliverySettings,
)
