from fastapi import APIRouter

from kernel.web import Socket

from . import handler

router = APIRouter(tags=["live"])


@router.websocket("/live")
async def live(socket: Socket) -> None:
    """Follow live updates; docs/LIVE.md has the messages."""
    await handler.live(socket)
