"""The request log: one JSON line for each request, in the format of LogFormatter.

Logging itself takes 25 µs or more for each line. This takes 3 to 4, because it knows the fields,
and writes all lines of one event loop iteration together. `kernel.observe.console` makes lines for
people.
"""

import asyncio
import contextlib
import json
import logging
import select
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Any, Final, cast

from kernel.observe import console
from kernel.observe.logs import bounded, may_hold_a_secret, redact

MAX_PATH: Final = 2048
"""The most characters of a path in a line; the rest is neither read nor written."""

LOGGER: Final = "access"
"""Its level decides whether lines are written."""
# A longer write into a pipe may be interleaved with another worker's (POSIX, write); Windows
# specifies no limit.
_ATOMIC: Final[int] = getattr(select, "PIPE_BUF", 512)


class RequestLog:
    """Writes request log lines to `stream` (standard output) while the logger `access` is enabled.

    Lines wait for the end of the loop iteration, or for `flush`; without a running loop they are
    written immediately. A closed or broken output loses lines, but fails no request.
    """

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._stream = stream
        self._enabled = logging.getLogger(LOGGER).isEnabledFor
        self._lines: list[bytes] = []
        self._millisecond, self._second_text, self._text = -1, "", ""

    def write(
        self,
        feature: str | None,
        method: str,
        path: str,
        status: int,
        *,
        seconds: float,
        cache: str | None,
        request_id: str,
        sent_id: str | None = None,
    ) -> None:
        """Write one line; it omits `feature`, `cache` and `sent_id` if they are None."""
        if not self._enabled(logging.INFO):
            return
        if len(path) > MAX_PATH:
            path = bounded(path, MAX_PATH)
        timestamp = self._timestamp()
        name = f'"slice":"{feature}",' if feature is not None else ""
        result = f'"cache":"{cache}",' if cache is not None else ""
        sent = f'"sent_id":"{sent_id}",' if sent_id is not None else ""
        # Hand-made JSON takes a third of the time; text that needs escapes or redaction goes the
        # long way.
        line = (
            f'{{"timestamp":"{timestamp}","level":"INFO","message":"request","context":'
            f'{{"name":"{LOGGER}",{name}"method":"{method}","path":"{path}","status":{status},'
            f'"duration_ms":{seconds * 1000:.2f},{result}{sent}"request_id":"{request_id}"}}}}\n'
        )
        if (
            may_hold_a_secret(path + request_id + sent)
            or not _is_plain(path)
            or not method.isalpha()
        ):
            context = {"name": LOGGER, "slice": feature, "method": redact(method)}
            context |= {"path": redact(path), "status": status}
            context |= {"duration_ms": round(seconds * 1000, 2), "cache": cache}
            if sent_id is not None:
                context["sent_id"] = redact(sent_id)
            context["request_id"] = redact(request_id)
            line = _escaped(timestamp, context)
        self._lines.append(line.encode())
        if len(self._lines) == 1:
            self._flush_soon()

    def flush(self) -> None:
        """Write the waiting lines now; used at shutdown."""
        lines, self._lines = self._lines, []
        stream = self._stream or _standard_output()
        if stream is None:
            return
        # ValueError: the stream is closed.
        with contextlib.suppress(OSError, ValueError):
            for piece in _whole_lines(lines):
                stream.write(piece)
                stream.flush()

    def _flush_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def _timestamp(self) -> str:
        now = time.time_ns() // 1_000_000
        if now != self._millisecond:
            second, milliseconds = divmod(now, 1000)
            if second != self._millisecond // 1000:
                self._second_text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._millisecond = now
            self._text = f"{self._second_text}.{milliseconds:03}+00:00"
        return self._text


class ConsoleRequestLog(RequestLog):
    """Writes the same lines for people; a separate class keeps the JSON path short."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        super().__init__(stream)
        self._coloured = console.wants_colour(sys.__stdout__ if stream is None else None)

    def write(
        self,
        feature: str | None,
        method: str,
        path: str,
        status: int,
        *,
        seconds: float,
        cache: str | None,
        request_id: str,
        sent_id: str | None = None,  # noqa: ARG002 - people look for it in JSON
    ) -> None:
        """Write one line; it omits `feature` and `cache` if they are None."""
        if not self._enabled(logging.INFO):
            return
        line = console.access_line(
            datetime.fromtimestamp(time.time(), UTC),
            feature,
            redact(method),
            redact(path),
            status,
            seconds=seconds,
            cache=cache,
            request_id=redact(request_id),
            coloured=self._coloured,
        )
        self._lines.append(f"{line}\n".encode())
        if len(self._lines) == 1:
            self._flush_soon()


def _is_plain(text: str) -> bool:
    """Whether JSON writes the text unchanged."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _escaped(timestamp: str, context: dict[str, Any]) -> str:
    """Return the line in ASCII, as LogFormatter does: it cannot move a terminal's cursor."""
    known = {key: item for key, item in context.items() if item is not None}
    fields = {"timestamp": timestamp, "level": "INFO", "message": "request", "context": known}
    return json.dumps(fields) + "\n"


def _whole_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines into chunks that a pipe writes atomically; a longer line is its own chunk."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > _ATOMIC:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def _standard_output() -> IO[bytes] | None:
    return None if sys.__stdout__ is None else cast("IO[bytes]", sys.__stdout__.buffer)
