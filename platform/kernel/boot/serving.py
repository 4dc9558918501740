"""uvicorn's settings, for the API and the applications that it is compared with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

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
