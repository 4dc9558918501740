"""A collector of traces: what OpenTelemetry's own would receive, by OTLP over HTTP."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Recorded:
    """A span that arrived; ids are hexadecimal, `parent_id` is empty for a root."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str | int]
    failed: bool
    events: int


class Collector:
    """Its `url` is what OTEL_EXPORTER_OTLP_ENDPOINT names."""

    def __init__(self) -> None:
        self.spans: list[Recorded] = []
        self.bodies: list[bytes] = []
        self.url = ""

    def named(self, name: str, trace_id: str | None = None) -> list[Recorded]:
        """Return the spans of this name, of one trace or of all."""
        return [one for one in self.spans if one.name == name and trace_id in {None, one.trace_id}]

    def add(self, body: bytes) -> None:
        """Keep what one request has exported."""
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for span in (one for scope in resource.scope_spans for one in scope.spans):
                self.spans.append(
                    Recorded(
                        service=names["service.name"],
                        name=span.name,
                        kind=span.kind,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        attributes={
                            one.key: one.value.string_value or one.value.int_value
                            for one in span.attributes
                        },
                        failed=span.status.code == span.status.STATUS_CODE_ERROR,
                        events=len(span.events),
                    )
                )


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.add(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name there
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
