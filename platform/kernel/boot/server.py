"""The application that uvicorn serves in production, and how uvicorn is set up."""

import gc
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from kernel.boot.app import create_app
from kernel.boot.discovery import version
from kernel.boot.socket_protocol import SocketProtocol
from kernel.boot.timed import Served
from kernel.core.metrics import SHARED_FOLDER
from kernel.observe.listener import Listener, collectors

_YOUNG: Final = 20_000


def application() -> Served:
    """Return the application for a process that only serves it.

    Objects that exist now are permanent: the garbage collector ignores them from now on. Requests
    create little garbage, so it need not run every 700 objects.

    Its metrics are served from now on. One of several workers only counts: their parent serves.
    """
    app = create_app()
    if SHARED_FOLDER not in os.environ:
        Listener(app.settings, app.metrics.registry, *collectors("api", version()))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return Served(app.front, app.connections, app.sockets.takes)


UVICORN: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "log_config": None,
        "access_log": False,  # the Edge writes it
        "proxy_headers": False,  # X-Forwarded-For is not trusted here
        "server_header": False,
        "ws": SocketProtocol,
        "ws_max_size": 4096,  # bytes of a client's message
        "ws_per_message_deflate": False,  # 64 KB for each socket, and messages are short
        "ws_ping_interval": 25.0,
        "ws_ping_timeout": 20.0,
        "timeout_graceful_shutdown": 20,
    }
)
"""Keyword arguments of `uvicorn.run`."""
