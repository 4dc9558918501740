"""A gateway in a thread of this process, for tests."""

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import replace
from typing import Self

import uvicorn

from devstack.errors import StackError
from devstack.gateway.config import GatewayConfig


class GatewayThread:
    """A gateway on a free port, in a thread with its own event loop.

    Its `public_url` is set to its address, which is also in the attribute `url`.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        # Accepted sockets inherit it; asyncio sets it only for sockets that name their protocol.
        # Without it a response with a body waits 40 ms for the acknowledgement of its headers.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.config = replace(config, public_url=self.url)

    def start(self) -> Self:
        """Start it and return when it answers. Raises StackError when it does not start."""
        from devstack.gateway.app import create_app  # noqa: PLC0415 - slow, and not always needed

        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(self.config),
                access_log=False,
                log_config=None,
                lifespan="on",
                ws="none",
                timeout_graceful_shutdown=1,
                timeout_keep_alive=75,  # like the real one: longer than clients keep a connection
            )
        )
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise StackError("The gateway did not start: its log (uvicorn.error) says why.")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop it and wait until its thread has ended."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        # uvicorn calls sys.exit if the lifespan fails: start() notices that the thread ended.
        with contextlib.suppress(SystemExit):
            asyncio.run(self._server.serve(sockets=[self._socket]))
