"""Traces: what one request causes, across processes, sent by OTLP; off unless it is configured.

A trace is request → call of Supabase → event in the outbox → relay → job → its calls of Supabase.
The W3C traceparent goes along: as a header to PostgREST, in the event's row, and in the broker's
message. OpenTelemetry is imported only where traces are on. Attributes are slices, jobs, methods,
statuses, and ids of requests and runs; never users, paths, queries, tokens or texts of errors.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanKind

Kind = Literal["server", "client", "producer", "consumer"]
Value = str | int

# A collector that is away or slow: an export is given up after this time, and so is the last one.
_EXPORT_SECONDS: Final = 2.0
_EVERY_MILLISECONDS: Final = 1000
_QUEUE: Final = 4096  # spans that wait; more are dropped
_PATH: Final = "/v1/traces"
_SAY_EVERY_SECONDS: Final = 60.0


class Span:
    """A span that nobody records."""

    traceparent: str | None = None
    """What another process needs to continue the trace."""

    def note(self, **attributes: Value) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Name it by what is known only now."""

    def failed(self, what: str) -> None:
        """Mark it as failed; `what` is a class of errors or a status."""

    def end(self) -> None:
        """End it, if it was begun by `begin`."""


_NOTHING: Final = Span()


class Traces:
    """Traces that are off: spans that nobody records."""

    on: bool = False

    def begin(self, name: str, kind: Kind, parent: str | None = None, **_: Value) -> Span:  # noqa: ARG002 - as the other
        """Begin a span that does not become the current one; `end` ends it."""
        return _NOTHING

    @contextlib.contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002 - as the other
        kind: Kind,  # noqa: ARG002
        parent: str | None = None,  # noqa: ARG002
        **_: Value,
    ) -> Iterator[Span]:
        """Record the block as a span: a child of `parent`, a traceparent, or a trace's root."""
        yield _NOTHING

    @contextlib.contextmanager
    def child(self, name: str, kind: Kind, **_: Value) -> Iterator[Span]:  # noqa: ARG002
        """Record the block as a child of the current span, if there is one."""
        yield _NOTHING

    async def aclose(self) -> None:
        """Send what waits."""


OFF: Final = Traces()


def traces_to(endpoint: str | None, *, application: str, process: str) -> Traces:
    """Return the traces of this process, sent to an OTLP/HTTP collector; `OFF` without an endpoint.

    Call it after a fork: its thread sends. The other variables of OpenTelemetry count, too, such as
    OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.
    """
    if endpoint is None:
        return OFF
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only where it is on
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    logging.getLogger(OTLPSpanExporter.__module__).addFilter(_SELDOM)
    names = {"service.namespace": application, "service.name": process}
    if os.environ.get("OTEL_SERVICE_NAME"):
        del names["service.name"]
    provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + _PATH, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_QUEUE, schedule_delay_millis=_EVERY_MILLISECONDS
        )
    )
    return _OtelTraces(provider)


class _Seldom(logging.Filter):
    """One line a minute about a collector that is away, instead of one for each attempt."""

    _next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._next:
            return False
        self._next = record.created + _SAY_EVERY_SECONDS
        return True


_SELDOM: Final = _Seldom()


class _OtelSpan(Span):
    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        )

    def note(self, **attributes: Value) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(name.replace("__", "."), value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, what: str) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - loaded by now

        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", what)

    def end(self) -> None:
        self._span.end()


class _OtelTraces(Traces):
    on = True

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - loaded by now
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._provider, self._trace = provider, trace
        self._tracer = provider.get_tracer("kernel")
        self._nowhere, self._propagator = context.Context(), TraceContextTextMapPropagator()

    def begin(self, name: str, kind: Kind, parent: str | None = None, **attributes: Value) -> Span:
        span = _OtelSpan(self._begun(name, kind, parent))
        span.note(**attributes)
        return span

    @contextlib.contextmanager
    def span(
        self, name: str, kind: Kind, parent: str | None = None, **attributes: Value
    ) -> Iterator[Span]:
        with self._recorded(self._begun(name, kind, parent), attributes) as span:
            yield span

    @contextlib.contextmanager
    def child(self, name: str, kind: Kind, **attributes: Value) -> Iterator[Span]:
        if not self._trace.get_current_span().get_span_context().is_valid:
            yield _NOTHING
            return
        begun = self._tracer.start_span(name, kind=self._kind(kind))
        with self._recorded(begun, attributes) as span:
            yield span

    async def aclose(self) -> None:
        await asyncio.to_thread(self._provider.shutdown)

    def _begun(self, name: str, kind: Kind, parent: str | None) -> "OtelSpan":
        above = self._nowhere
        if parent is not None:  # anything else than a traceparent is ignored
            above = self._propagator.extract({"traceparent": parent}, context=self._nowhere)
        return self._tracer.start_span(name, context=above, kind=self._kind(kind))

    def _kind(self, kind: Kind) -> "SpanKind":
        return self._trace.SpanKind[kind.upper()]

    @contextlib.contextmanager
    def _recorded(self, begun: "OtelSpan", attributes: dict[str, Value]) -> Iterator[Span]:
        span = _OtelSpan(begun)
        span.note(**attributes)
        # The text of an exception may hold what users sent: only its class is recorded.
        with self._trace.use_span(
            begun, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield span
            except BaseException as error:
                span.failed(type(error).__name__)
                raise
