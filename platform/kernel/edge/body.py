"""The body of a request may arrive long after its head: by then the session may have ended."""

import time
from typing import Final

from starlette.types import Message, Receive

from kernel.core.caller import Caller
from kernel.edge.admission import ask
from kernel.edge.services import EdgeServices

_AT_ONCE_SECONDS: Final = 0.01


def looked_at_again(receive: Receive, caller: Caller, services: EdgeServices) -> Receive:
    """Return a `receive` that looks at the caller's session again when the body is whole.

    What this process knows is looked at always; Redis is asked only where the body took its time.
    Raises SessionRevoked.
    """
    admitted = time.monotonic()
    session_id = caller.session_id

    async def watched() -> Message:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            services.revocations.refuse_known(session_id)
            if session_id is not None and time.monotonic() - admitted > _AT_ONCE_SECONDS:
                (reply,) = await ask(services, [services.revocations.command(session_id)])
                await services.revocations.check(session_id, reply)
        return message

    return watched
