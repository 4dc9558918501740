"""The reference servers: bare ASGI applications, served like the API.

Run as `python -m bench.reference --port N --size BYTES [--redis-port N]`. Each answers every
request with the same JSON body; with `--redis-port` it gets that body from Redis each time, by
redis-py with its defaults.
"""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvicorn
from redis.asyncio import Redis
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.boot.server import UVICORN

_KEY: Final = "body"
_FRAME: Final = b'{"data":""}'


def reference(size: int, redis: Redis | None = None) -> ASGIApp:
    """Return the application with bodies of this size, in bytes."""
    body = _FRAME[:-2] + b"x" * (size - len(_FRAME)) + _FRAME[-2:]

    async def bare() -> bytes:
        return body

    async def from_redis() -> Any:
        assert redis is not None  # otherwise it is `bare`
        return await redis.get(_KEY)

    async def prepare() -> None:
        if redis is not None:
            await redis.set(_KEY, body)

    read = bare if redis is None else from_redis

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send, prepare)
            return
        found = await read()
        length = str(len(found)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found})

    return application


async def _live(receive: Receive, send: Send, prepare: Callable[[], Awaitable[None]]) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "lifespan.startup":
            await prepare()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def main() -> None:
    """Serve on 127.0.0.1 until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.reference", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--redis-port", type=int)
    told = parser.parse_args()
    redis = Redis(port=told.redis_port, db=2) if told.redis_port else None
    uvicorn.run(reference(told.size, redis), host="127.0.0.1", port=told.port, **UVICORN)


if __name__ == "__main__":
    main()
