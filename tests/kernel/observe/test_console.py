"""Console lines: readable, as safe as the JSON lines, and only used where people read them."""

import io
import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core.request_id import request_id
from kernel.observe import console
from kernel.observe.logs import REDACTED, ConsoleFormatter, configure_logging, log_uncaught
from kernel.observe.request_log import ConsoleRequestLog

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
ANYTHING = st.text(st.characters(exclude_categories=()))  # with surrogates and control characters
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def text(message: str, *, coloured: bool = False, **fields: Any) -> str:
    record = {"name": "kernel.outbox.relay", "levelname": "WARNING", "msg": message, **fields}
    return ConsoleFormatter(coloured=coloured).format(logging.makeLogRecord(record))


def failed(function: Any, *arguments: Any) -> str:
    """Return the traceback of a call in the formatter's form."""
    try:
        function(*arguments)
    except Exception:  # noqa: BLE001 - whatever it raises
        return text("failed", exc_info=sys.exc_info())
    raise AssertionError("it did not fail")


def access(*, coloured: bool = False, **changes: Any) -> str:
    line: dict[str, Any] = {
        "feature": "get_post",
        "method": "GET",
        "path": "/api/v1/posts/1",
        "status": 200,
    }
    line |= {"seconds": 0.0123, "cache": "hit", "request_id": "0123456789abcdef"}
    return console.access_line(datetime.now(UTC), coloured=coloured, **line | changes)


def test_a_line_has_time_level_message_fields_and_logger():
    token = request_id.set("0123456789abcdef")
    try:
        found = text("Events wait", number=3, why="Redis is away")
    finally:
        request_id.reset(token)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} WARNING  Events wait  number=3 "
        r'why="Redis is away" request_id=0123456789abcdef \(kernel\.outbox\.relay\)',
        found,
    )


def test_the_time_is_the_local_one():
    at = datetime(2026, 11, 26, 8, 0, 0, 7000, tzinfo=UTC)
    found = console.log_line(at, "INFO", "x", {}, coloured=False)
    assert found.startswith(f"{at.astimezone():%H:%M:%S}.007 INFO ")


def test_colours_change_nothing_but_the_colour():
    at = datetime.now(UTC)
    fields = {"name": "a", "exc_info": "Traceback …\n  … 3 frames of x\nValueError: no"}
    plain = console.log_line(at, "ERROR", "m", fields, coloured=False)
    coloured = console.log_line(at, "ERROR", "m", fields, coloured=True)
    assert "\x1b[31mERROR" in coloured
    assert COLOURS.sub("", coloured) == plain


@pytest.mark.parametrize(
    ("status", "code"), [(200, "32"), (304, "36"), (429, "33"), (500, "31"), (0, "31")]
)
def test_the_colour_of_a_request_is_its_statuss(status, code):
    assert f"\x1b[{code}m{status}\x1b[0m" in access(status=status, coloured=True)


def test_the_access_line_says_what_was_asked_and_how_it_went():
    assert access().endswith(
        " INFO     GET /api/v1/posts/1 200 12.3 ms · get_post · cache hit · 01234567"
    )
    assert access(feature=None, cache=None).endswith(" 200 12.3 ms · 01234567")


# Safety ------------------------------------------------------------------------------------------


@given(ANYTHING, ANYTHING, ANYTHING)
def test_h9_no_value_begins_a_line_or_moves_the_cursor(message, value, error):
    found = text(message, field=value, exc_info=(ValueError, ValueError(error), None))
    first, *others = found.split("\n")
    assert re.match(r"\d\d:\d\d:\d\d", first)
    assert all(line.startswith("    ") for line in others)
    assert all(line.isprintable() for line in (first, *others))


@given(ANYTHING, ANYTHING)
def test_h9_no_request_begins_a_line_or_moves_the_cursor(path, method):
    assert access(path=path, method=method).isprintable()


@pytest.mark.parametrize(
    "value", [f"token {JWT}", "Bearer opaque-token-1", "redis://user:hidden@host:6379/0"]
)
def test_h9_secrets_are_redacted_as_in_json(value):
    try:
        raise ValueError(value)
    except ValueError:
        found = text(value, detail=value, password="hidden", exc_info=sys.exc_info())
    for secret in (JWT, "opaque-token-1", "hidden"):
        assert secret not in found
    assert found.count(REDACTED) >= 4


def test_h9_a_token_in_a_path_is_redacted():
    stream = io.BytesIO()
    log = ConsoleRequestLog(stream)
    fields: dict[str, Any] = {"seconds": 0.001, "cache": None, "request_id": JWT}
    logging.getLogger("access").setLevel(logging.INFO)
    log.write(None, JWT, f"/{JWT}", 404, **fields)
    found = stream.getvalue().decode()
    assert JWT[:20] not in found
    assert f"{REDACTED} /{REDACTED} 404" in found


# Tracebacks --------------------------------------------------------------------------------------


def test_a_traceback_has_our_frames_and_one_line_for_the_libraries():
    found = failed(lambda: logging.getLogger("x").setLevel(1j))  # type: ignore[arg-type]
    assert found.splitlines()[1] == "    Traceback (most recent call last):"
    assert re.search(
        r'\n {6}File "tests/kernel/observe/test_console\.py", line \d+, in failed\n', found
    )
    assert "\n      … 1 frame of logging\n" in found
    assert "TypeError: Level not an integer or a valid string: 1j" in found
    assert "logging/__init__.py" in found  # the frame that raised the error


def test_causes_and_groups_are_shortened_too():
    def inner():
        try:
            json.loads("{")
        except ValueError as error:
            raise ExceptionGroup("many", [error]) from error

    found = failed(inner)
    assert found.count("… 2 frames of json") == 2
    assert "The above exception was the direct cause" in found


def test_without_an_exception_there_is_no_traceback():
    assert console.short_traceback(None, None, None) == ""


# Where the console format is used ----------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "terminal", "plain"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_are_for_terminals_unless_a_variable_says_otherwise(
    monkeypatch, variables, terminal, plain
):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert console.wants_colour(Terminal()) is terminal
    assert console.wants_colour(io.StringIO()) is plain
    assert console.wants_colour(None) is False


@pytest.fixture
def root_logger():
    """The root logger, which gets its handlers and level back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("for_people", [False, True])
def test_the_setting_chooses_the_form(root_logger, monkeypatch, for_people):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "__stdout__", stream)
    configure_logging("INFO", for_people=for_people)
    logging.getLogger("x").info("größer")
    stream.flush()
    line = raw.getvalue().decode()
    if for_people:
        assert line.endswith("INFO     gr\\xf6\\xdfer  (x)\n")
    else:
        assert json.loads(line)["message"] == "größer"


def test_an_exception_that_ends_the_process_is_a_line_of_the_log(caplog):
    error = ValueError("no")
    log_uncaught(ValueError, error, None)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert caplog.records[0].exc_info == (ValueError, error, None)


def test_ctrl_c_is_not_logged_as_an_exception(capsys, caplog):
    log_uncaught(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "KeyboardInterrupt" in capsys.readouterr().err
    assert not caplog.records
