"""A receiver of Sentry's envelopes, as their servers have it."""

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Its `dsn` is what SENTRY_DSN names; `bodies` are the whole requests, unpacked."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies: list[str] = []
        self.dsn = ""

    def add(self, body: bytes) -> None:
        """Keep the events of one envelope: a header, then a header and a payload for each item."""
        self.bodies.append(body.decode())
        _, *lines = body.splitlines()
        for head, payload in zip(lines[::2], lines[1::2], strict=True):
            if json.loads(head)["type"] == "event":
                self.events.append(json.loads(payload))


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Encoding"] == "gzip"
            assert self.path == "/api/7/envelope/"
            receiver.add(gzip.decompress(body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name there
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.dsn = f"http://key@127.0.0.1:{server.server_port}/7"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
