"""Log lines for people: time, level, message and fields on one line, a traceback below it.

No value can start a new line or move the cursor: unprintable characters are escaped.
"""

import os
import site
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

DIM: Final = "2"
_LEVELS: Final = {
    "DEBUG": DIM,
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "1;31",
}
_BLOCKS: Final = ("exc_info", "stack_info")
"""Fields of several lines, printed below."""
_STATUS: Final = {2: "32", 3: "36", 4: "33"}
_SHORT_ID: Final = 8
_INDENT: Final = "    "


def wants_colour(stream: TextIO | None) -> bool:
    """Whether text for this stream is coloured.

    NO_COLOR (https://no-color.org) disables it, FORCE_COLOR (https://force-color.org) enables it;
    without them, terminals get colour.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(code: str, text: str, *, coloured: bool) -> str:
    """Return the text in the colour of an SGR code (ECMA-48), or unchanged."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def log_line(
    at: datetime, level: str, message: str, fields: Mapping[str, Any], *, coloured: bool
) -> str:
    """Return one record as text, without a trailing newline; `at` is shown in local time."""
    first, *more = message.split("\n")
    parts = [_start(at, level, coloured=coloured), _printable(first)]
    known = [
        f"{name}={_value(item)}" for name, item in fields.items() if name not in {"name", *_BLOCKS}
    ]
    if logger := fields.get("name"):
        known.append(_printable(f"({logger})"))
    if known:
        parts.append(paint(DIM, f" {' '.join(known)}", coloured=coloured))
    lines = [" ".join(parts), *(_INDENT + _printable(line) for line in more)]
    for name in _BLOCKS:
        lines += _block(str(fields.get(name, "")), coloured=coloured)
    return "\n".join(lines)


def access_line(
    at: datetime,
    feature: str | None,
    method: str,
    path: str,
    status: int,
    *,
    seconds: float,
    cache: str | None,
    request_id: str,
    coloured: bool,
) -> str:
    """Return the line of one request: method, path, status, time, and further known fields.

    It shows the first 8 characters of the request id.
    """
    painted = paint(_STATUS.get(status // 100, "31"), str(status), coloured=coloured)
    known = [feature, cache and f"cache {cache}", request_id[:_SHORT_ID]]
    more = _printable(" · ".join(part for part in known if part))
    start = _start(at, "INFO", coloured=coloured)
    rest = paint(DIM, f"{seconds * 1000:.1f} ms · {more}", coloured=coloured)
    return f"{start} {_printable(method)} {_printable(path)} {painted} {rest}"


def short_traceback(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> str:
    """Return a traceback that shortens each run of library frames to one line.

    It shows the frames of this checkout and the frame that raised, for causes and groups, too.
    """
    if kind is None or error is None:
        return ""
    whole = traceback.TracebackException(kind, error, trace, compact=True)
    waiting = [whole]
    while waiting:
        one = waiting.pop()
        one.stack = _ShortStack(one.stack)
        others = (one.__cause__, one.__context__, *(one.exceptions or ()))
        waiting += [other for other in others if other is not None]
    # Terminals and editors open paths relative to the current folder.
    return "".join(whole.format()).replace(f'"{Path.cwd()}{os.sep}', '"').rstrip("\n")


class _ShortStack(traceback.StackSummary):
    """The frames of one traceback."""

    def format(self, **options: Any) -> list[str]:
        """Return a text for each visible frame, and one for each run of hidden frames."""
        texts = []
        for foreign, group in groupby(self, lambda frame: _foreign(frame.filename)):
            frames = list(group)
            shown = frames
            if foreign:
                shown = frames[-1:] if frames[-1] is self[-1] else []
                texts += _run(frames[: len(frames) - len(shown)])
            texts += traceback.StackSummary.from_list(shown).format(**options)
        return texts


def _run(hidden: list[traceback.FrameSummary]) -> list[str]:
    if not hidden:
        return []
    number = f"{len(hidden)} frame{'s' * (len(hidden) > 1)}"
    names = dict.fromkeys(_package(frame.filename) for frame in hidden)
    return [f"  … {number} of {', '.join(names)}\n"]


@cache
def _libraries() -> tuple[str, ...]:
    paths = {*site.getsitepackages(), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))}
    # The longest first: site-packages lies in the folder of the standard library.
    return tuple(sorted((path + os.sep for path in paths if path), key=len, reverse=True))


def _foreign(path: str) -> bool:
    return path.startswith(("<frozen ", *_libraries()))


def _package(path: str) -> str:
    if path.startswith("<frozen "):
        return path.removeprefix("<frozen ").rstrip(">").partition(".")[0]
    library = next(one for one in _libraries() if path.startswith(one))
    return Path(path.removeprefix(library)).parts[0].removesuffix(".py")


def _start(at: datetime, level: str, *, coloured: bool) -> str:
    time = f"{at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03}"
    return (
        paint(DIM, time, coloured=coloured)
        + " "
        + paint(_LEVELS.get(level, ""), f"{level:<8}", coloured=coloured)
    )


def _block(text: str, *, coloured: bool) -> Iterable[str]:
    for line in text.split("\n") if text else ():
        shown = _printable(line)
        if line.startswith("  … "):
            shown = paint(DIM, shown, coloured=coloured)
        elif line[:1] not in {"", " "} and not line.startswith("Traceback"):
            shown = paint("31", shown, coloured=coloured)
        yield _INDENT + shown


def _value(item: object) -> str:
    text = item if isinstance(item, str) else repr(item)
    return _printable(text) if text and " " not in text else f'"{_printable(text)}"'


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
