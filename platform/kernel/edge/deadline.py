"""The deadline of a request: work that hangs ends, and its resources come back."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.errors import DeadlineExceeded

log = logging.getLogger(__name__)


async def within(
    seconds: float, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, feature: str | None
) -> None:
    """Run the application; cancel it when it neither answers nor goes on for so many seconds.

    They begin anew with each part of the body that arrives, and with each part of the response that
    leaves: a stream may last, but not hang. Time that the client takes is not counted; the server
    bounds that. Raises DeadlineExceeded.
    """
    now = asyncio.get_running_loop().time
    arriving = True

    def begin(until: float | None) -> None:
        if not limit.expired():  # else a handler goes on in spite of its cancellation
            limit.reschedule(until)

    async def received() -> Message:
        nonlocal arriving
        if arriving:  # afterwards it only waits for a disconnect
            begin(None)
        message = await receive()
        if arriving:
            begin(now() + seconds)
            arriving = bool(message.get("more_body"))
        return message

    async def sent(message: Message) -> None:
        begin(None)
        await send(message)
        begin(now() + seconds)

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await app(scope, received, sent)
    except TimeoutError:
        if not limit.expired():
            raise
        log.exception("A request exceeded its deadline", extra={"slice": feature})
        raise DeadlineExceeded from None
