"""The access line: it has the formatter's fields, is written in batches, and never fails."""

import asyncio
import contextlib
import io
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import example, given
from hypothesis import strategies as st

from kernel.observe import logs
from kernel.observe import request_log as access_log
from kernel.observe.logs import REDACTED, LogFormatter, redact
from kernel.observe.request_log import RequestLog

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
LINE: dict[str, Any] = {
    "feature": "get_post",
    "method": "GET",
    "path": "/api/v1/posts/1",
    "status": 200,
    "seconds": 0.00071234,
    "cache": "hit",
    "request_id": "0123456789abcdef",
}
SECRETS = st.sampled_from(
    [
        JWT,
        "eyJ",
        "sb_secret_1",
        "Bearer ",
        "bearer x",
        "://",
        "u:p@",
        "input_value=",
        ", input_type=",
    ]
)
ANYTHING = st.text(st.characters(exclude_categories=()))  # with surrogates and control characters
HOSTILE = st.lists(SECRETS | ANYTHING).map("".join)


@pytest.fixture(scope="module", autouse=True)
def enabled():
    """Production's log level, independent of earlier tests."""
    logger = logging.getLogger("access")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


class Pieces(io.BytesIO):
    """A stream that records each write separately."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)


def write(log: RequestLog, **changes: Any) -> None:
    log.write(**LINE | changes)


def written(**changes: Any) -> Any:
    """Return the fields of one access line."""
    stream = io.BytesIO()
    log = RequestLog(stream)
    write(log, **changes)
    log.flush()
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    return json.loads(line)


def formatted(**changes: Any) -> Any:
    """Return the fields of the line that the logging formatter would write."""
    line = LINE | changes
    record = {
        "name": "access",
        "levelname": "INFO",
        "msg": "request",
        "slice": line["feature"],
        "method": line["method"],
        "path": line["path"],
        "status": line["status"],
        "duration_ms": round(line["seconds"] * 1000, 2),
        "cache": line["cache"],
        "request_id": line["request_id"],
    }
    formatter = LogFormatter("%(message)s %(levelname)s %(name)s")
    return json.loads(formatter.format(logging.makeLogRecord(record)))


def test_it_has_the_fields_that_people_look_for():
    line = written()
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "level": "INFO",
        "message": "request",
        "context": {
            "name": "access",
            "slice": "get_post",
            "method": "GET",
            "path": "/api/v1/posts/1",
            "status": 200,
            "duration_ms": 0.71,
            "cache": "hit",
            "request_id": "0123456789abcdef",
        },
    }


@given(
    path=HOSTILE,
    method=st.sampled_from(["GET", JWT]),
    request_id=st.sampled_from(["0123456789abcdef", "eyJ01234567.a"]),
    feature=st.sampled_from(["get_post", None]),
    cache=st.sampled_from(["hit", "miss", None]),
    status=st.integers(0, 599),
    seconds=st.floats(0, 1e4),
)
@example(
    path='/"quoted"\n{"level": "forged"}\r\x00\x1b[2J\x9b\u2028',
    method="GET",
    request_id="0123456789abcdef",
    feature=None,
    cache=None,
    status=404,
    seconds=0.001,
)
@example(
    path=f"/a/\udc80/ünicode/{JWT}",
    method="GET",
    request_id="0123456789abcdef",
    feature=None,
    cache=None,
    status=404,
    seconds=0.001,
)
def test_h9_it_is_what_the_formatter_would_write_field_by_field(**line):
    ours, theirs = written(**line), formatted(**line)
    assert list(ours) == list(theirs)
    assert len(ours.pop("timestamp")) == len(theirs.pop("timestamp"))
    assert list(ours["context"].items()) == list(theirs["context"].items())
    assert ours == theirs


@pytest.mark.parametrize("field", ["path", "method", "request_id"])
def test_h9_a_token_in_the_line_is_redacted(field):
    assert written(**{field: f"{JWT}"})["context"][field] == REDACTED


@given(HOSTILE)
def test_h9_no_secret_is_missed_for_the_sake_of_speed(text):
    assert redact(text) == logs._SECRET_VALUE.sub(REDACTED, text)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000+00:00"),
        (1_795_766_400_000_000_000, "2026-11-27T08:00:00.000+00:00"),
        (1_795_766_400_999_999_999, "2026-11-27T08:00:00.999+00:00"),
        (1_795_766_401_001_500_000, "2026-11-27T08:00:01.001+00:00"),
    ],
)
def test_the_time_is_the_formatters_to_the_millisecond(nanoseconds, expected):
    stream = io.BytesIO()
    with freeze_time(datetime.fromtimestamp(nanoseconds // 10**9, UTC)) as frozen:
        frozen.tick(timedelta(microseconds=nanoseconds % 10**9 // 1000))
        RequestLog(stream).write(**LINE)
    assert json.loads(stream.getvalue())["timestamp"] == expected
    seconds, rest = divmod(nanoseconds, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    assert at.isoformat(timespec="milliseconds") == expected


def test_the_time_goes_on_within_a_second_and_beyond():
    stream = io.BytesIO()
    log = RequestLog(stream)
    with freeze_time("1970-01-01") as frozen:
        for seconds in (0, 0.999, 0.001, 60):
            frozen.tick(seconds)
            log.write(**LINE)
    times = [json.loads(line)["timestamp"] for line in stream.getvalue().splitlines()]
    assert [time[14:23] for time in times] == ["00:00.000", "00:00.999", "00:01.000", "01:01.000"]


# Writing -----------------------------------------------------------------------------------------


async def test_the_lines_of_one_tick_are_one_write():
    stream = Pieces()
    log = RequestLog(stream)
    for number in range(5):
        write(log, status=200 + number)
    assert stream.pieces == []
    await asyncio.sleep(0)  # one tick
    (piece,) = stream.pieces
    lines = [json.loads(line)["context"]["status"] for line in piece.splitlines()]
    assert lines == [200, 201, 202, 203, 204]
    log.write(**LINE)
    await asyncio.sleep(0)
    assert len(stream.pieces) == 2


async def test_no_write_is_so_long_that_another_workers_could_tear_it():
    stream = Pieces()
    log = RequestLog(stream)
    for _ in range(200):
        log.write(**LINE)
    write(log, path="/ü" * 10_000)
    log.write(**LINE)
    log.flush()
    assert sum(piece.count(b"\n") for piece in stream.pieces) == 202
    assert all(piece.endswith(b"\n") for piece in stream.pieces)
    *others, longest = sorted(map(len, stream.pieces))
    assert others[-1] <= access_log._ATOMIC < longest


async def test_what_waits_at_the_shutdown_is_flushed():
    stream = Pieces()
    log = RequestLog(stream)
    log.write(**LINE)
    log.flush()
    assert len(stream.pieces) == 1
    await asyncio.sleep(0)
    assert len(stream.pieces) == 1


def test_it_goes_to_standard_output(capfd):
    RequestLog().write(**LINE)
    line = json.loads(capfd.readouterr().out)
    assert line["context"]["path"] == LINE["path"]


def test_a_higher_level_writes_nothing(caplog):
    stream = io.BytesIO()
    log = RequestLog(stream)
    with caplog.at_level(logging.WARNING, logger="access"):
        log.write(**LINE)
    assert stream.getvalue() == b""
    log.write(**LINE)
    assert stream.getvalue()


def test_a_closed_output_breaks_no_request():
    stream = io.BytesIO()
    log = RequestLog(stream)
    stream.close()
    log.write(**LINE)


def test_an_output_that_nobody_reads_any_more_breaks_no_request():
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "wb")
    log = RequestLog(stream)
    for _ in range(100):
        log.write(**LINE)
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def test_a_process_without_an_output_writes_nothing(monkeypatch):
    monkeypatch.setattr("sys.__stdout__", None)
    RequestLog().write(**LINE)
