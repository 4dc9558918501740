import time

import orjson

from kernel.errors import Unavailable, ValidationFailed
from kernel.supabase import AsService

from ..shared.deliveries import DeliveryRefused
from .schema import Received, ReceiveDeliverySettings, Signed


async def receive_delivery(
    db: AsService, settings: ReceiveDeliverySettings, *, signed: Signed, body: bytes
) -> Received:
    """Store the message once, whoever repeats it.

    Raises Unavailable without a secret in the settings, DeliveryRefused for a wrong
    signature or time, and ValidationFailed for a body that is no JSON.
    """
    if settings.secret is None:
        raise Unavailable
    if not signed.holds(settings.secret, body, time.time()):
        raise DeliveryRefused
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValidationFailed from None
    if b"\\u0000" in body:  # PostgreSQL cannot store it
        raise ValidationFailed
    await db.rpc("receive_delivery", message_id=signed.message_id, content=content)
    return Received(message_id=signed.message_id)
