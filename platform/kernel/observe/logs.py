"""Log lines: timestamp, level, message, context; secrets are redacted.

They are JSON, or lines for people, which `kernel.observe.console` renders.
"""

import io
import logging
import re
import sys
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from kernel.core.request_id import request_id
from kernel.observe import console

REDACTED = "[redacted]"
CUT = "… [cut]"
"""The mark at the end of a cut text, and in place of omitted values."""

MAX_TEXT = 8192
"""The most characters of a string in a log line; longer text is neither searched nor written."""

MAX_ITEMS = 100
_MAX_DEPTH = 8
_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api_?key|service_key|credential",
    re.IGNORECASE,
)
# The search takes linear time for any text: each branch consumes all that it has examined, so that
# a character is examined from a few starting points only (tests/security/test_s2_expressions.py). A
# cut text ends with CUT, which replaces the end that the branch looks for.
_SECRET_VALUE = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*"  # a JWT, or a cut one
    r"|\bsb_(?:secret|publishable)_[\w-]+"  # Supabase's newer keys
    r"|(?<=[Bb]earer )[^\s\"',]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@|… \[cut\])"  # the credentials in a URL
    r"|(?<=input_value=)(?:.*?(?=, input_type=)|.*)"  # input to pydantic, of any form
    r"|(?<=\?)[\w.~%+-]+=[^\s\"'<>]*"  # the query of a URL
    # A header, as `Cookie: …` or as a quoted pair.
    r"|(?i:(?<=cookie)|(?<=authorization)|(?<=apikey)|(?<=api[-_]key))"
    r"(?:[\"']?\s?[:=]|[\"'],)\s?b?(?:'[^'\n]*'|\"[^\"\n]*\"|[^\n]*)"
)
_FIELDS = "%(message)s %(levelname)s %(name)s"
# Below WARNING these libraries log headers, bodies or URLs.
_QUIET = (
    "httpx",
    "httpcore",
    "hpack",
    "asyncio",
    "aiohttp",
    "watchfiles",
    "urllib3",
    "redis",
    "svcs",
    "celery",
    "kombu",
    "amqp",
    "billiard",
)


def redact(value: Any, _depth: int = 0) -> Any:
    """Return the value with everything that looks like a secret replaced, also deep inside.

    The result is bounded: texts are cut at MAX_TEXT characters before the search, collections after
    MAX_ITEMS, and levels deeper than 8 are omitted.
    """
    if isinstance(value, str):
        text = bounded(value)
        return _SECRET_VALUE.sub(REDACTED, text) if may_hold_a_secret(text) else text
    if isinstance(value, dict | list | tuple | set | frozenset):
        if _depth == _MAX_DEPTH:
            return CUT
        return _redact_inside(value, _depth + 1)
    return value


def bounded(text: str, most: int = MAX_TEXT) -> str:
    """Return the text, cut to at most `most` characters."""
    return text if len(text) <= most else text[:most] + CUT


def bounded_traceback(text: str) -> str:
    """Return the end of a long traceback, from the start of a line: the failure is there."""
    if len(text) <= MAX_TEXT:
        return text
    cut = text.find("\n", len(text) - MAX_TEXT + len(CUT))
    # Cut only between lines: a mark that identifies a secret may be in the removed half.
    return f"{CUT}\n{text[cut + 1 :]}" if cut >= 0 else bounded(text[text.rfind("\n") + 1 :])


def _redact_inside(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        redacted = {
            bounded(str(key)): REDACTED
            if _SECRET_NAME.search(bounded(str(key)))
            else redact(item, depth)
            for key, item in islice(value.items(), MAX_ITEMS)
        }
        return redacted if len(value) <= MAX_ITEMS else {**redacted, CUT: len(value)}
    items = [redact(item, depth) for item in islice(value, MAX_ITEMS)]
    return items if len(value) <= MAX_ITEMS else [*items, CUT]


def may_hold_a_secret(text: str) -> bool:
    """Whether the text has a mark that every match of _SECRET_VALUE starts with or follows.

    This takes 0.2 µs; the search takes 3.
    """
    return (
        "eyJ" in text
        or "sb_" in text
        or "earer " in text
        or ":" in text  # a URL with credentials, a header
        or "=" in text  # input_value, a query, a setting
        or "'," in text  # a header as a pair
        or '",' in text
    )


class LogFormatter(JsonFormatter):
    """Formats a record; the fields of `extra` become the line's `context`."""

    def formatException(self, ei: Any) -> Any:  # noqa: N802 - logging's name
        """Return the traceback as text, or its end."""
        return bounded_traceback(str(super().formatException(ei)))

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Return the line's fields in order."""
        message = log_data.pop("message", "")
        level = log_data.pop("levelname", "")
        context = {
            key: item
            for key, item in log_data.items()
            if item is not None and key != "color_message"
        }
        if "request_id" not in context and (current := request_id.get()):
            context["request_id"] = current
        return {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "message": redact(message),
            "context": redact(context),
        }


class ConsoleFormatter(LogFormatter):
    """Formats a record as a console line, with the same fields and redaction."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__(_FIELDS)
        self._coloured = coloured

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the text of a record."""
        at = datetime.fromisoformat(log_data["timestamp"])
        return console.log_line(
            at,
            log_data["level"],
            log_data["message"],
            log_data["context"],
            coloured=self._coloured,
        )

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback without library frames."""
        return console.short_traceback(*ei)


def configure_logging(level: str, *, for_people: bool = False) -> None:
    """Send all loggers' formatted lines to standard output, with uvicorn's and warnings.

    `for_people` writes console lines instead of JSON.
    """
    stream = sys.__stdout__
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter(_FIELDS))
    if for_people:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack a character
        handler.setFormatter(ConsoleFormatter(coloured=console.wants_colour(stream)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)


def log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log an exception that ends the process, as a hook for `sys.excepthook`."""
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical(
        "An exception ended the process", exc_info=(kind, error, trace)
    )
