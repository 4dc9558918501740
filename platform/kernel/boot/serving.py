"""How uvicorn serves: the API, and what it is compared with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

UVICORN: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "log_config": None,
        "access_log": False,  # the Edge writes it
        "proxy_headers": False,  # the peer's word is not taken for the client's address
        "server_header": False,
        "ws": "none",  # no slice speaks WebSocket: a handshake is a request like any other
        "timeout_graceful_shutdown": 20,
    }
)
"""Keyword arguments of `uvicorn.run`."""
