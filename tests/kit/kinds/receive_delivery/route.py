from fastapi import APIRouter, Request, status

from kernel.web import Answer, Services, raises

from ..shared.deliveries import DeliveryRefused
from . import handler
from .schema import MessageId, Received, Signature, Signed, Timestamp

router = APIRouter(tags=["deliveries"])


@router.post(
    "/hooks/deliveries",
    status_code=status.HTTP_202_ACCEPTED,
    responses=raises(DeliveryRefused),
)
async def receive_delivery(
    request: Request,
    services: Services,
    message_id: MessageId,
    timestamp: Timestamp,
    signature: Signature,
) -> Answer[Received]:
    """Receive a message that is signed by the Standard Webhooks specification.

    The body is JSON. A repeated message is accepted and stored once.
    """
    signed = Signed(message_id=message_id, timestamp=timestamp, signature=signature)
    body = await request.body()
    return Answer(await services.call(handler.receive_delivery, signed=signed, body=body))
