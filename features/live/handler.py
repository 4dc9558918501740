from pydantic import ValidationError

from kernel.web import LiveSocket

from .schema import MESSAGE, Subscribe, Token


async def live(socket: LiveSocket) -> None:
    """Answer the client's messages until one side closes the socket."""
    while (text := await socket.receive()) is not None:
        try:
            message = MESSAGE.validate_json(text)
        except ValidationError:
            socket.refuse("unknown message")
            return
        if isinstance(message, Token):
            await socket.authenticate(message.token)
        elif isinstance(message, Subscribe):
            await socket.follow(message.topics, message.since)
        else:
            socket.unfollow(message.topics)
