"""The application that uvicorn serves in production, and how uvicorn is set up."""

import gc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from kernel.boot.app import create_app
from kernel.boot.timed import Served

_YOUNG: Final = 20_000


def application() -> Served:
    """Return the application for a process that only serves it.

    Objects that exist now are permanent: the garbage collector ignores them from now on. Requests
    create little garbage, so it need not run every 700 objects.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return Served(app.front, app.connections)


UVICORN: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "log_config": None,
        "access_log": False,  # the Edge writes it
        "proxy_headers": False,  # X-Forwarded-For is not trusted here
        "server_header": False,
        "ws": "none",  # no slice uses WebSocket: a handshake is an ordinary request
        "timeout_graceful_shutdown": 20,
    }
)
"""Keyword arguments of `uvicorn.run`."""
