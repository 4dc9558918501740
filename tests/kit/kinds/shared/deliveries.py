"""Deliveries: the signed messages that another system has sent."""

from uuid import UUID

from kernel.errors import Forbidden
from kernel.events import Event


class DeliveryReceived(Event):
    """A delivery was received and stored; `delivery_id` is the id of its row."""

    delivery_id: UUID


class DeliveryRefused(Forbidden):
    """The signature is wrong, or its time is more than five minutes away."""

    code = "DELIVERY_REFUSED"
    message = "This message is not signed with the shared secret, or its time is not now."
