import json
import logging
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from kernel.core.request_id import request_id
from kernel.observe.logs import REDACTED, LogFormatter, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def line(message: str, exc_info=None, **extra: object) -> Any:
    record = logging.makeLogRecord(
        {"name": "test", "levelname": "INFO", "msg": message, "exc_info": exc_info, **extra}
    )
    return json.loads(LogFormatter("%(message)s %(levelname)s %(name)s").format(record))


def test_a_line_has_timestamp_level_message_and_context():
    token = request_id.set("0123456789abcdef")
    try:
        found = line("hello", slice="get_post")
    finally:
        request_id.reset(token)
    assert list(found) == ["timestamp", "level", "message", "context"]
    assert found["timestamp"].endswith("+00:00")
    assert found["context"] == {
        "name": "test",
        "slice": "get_post",
        "request_id": "0123456789abcdef",
    }


def test_a_traceback_is_part_of_the_context():
    try:
        raise ValueError("broken")
    except ValueError as error:
        found = line("failed", exc_info=(ValueError, error, error.__traceback__))
    assert "ValueError: broken" in found["context"]["exc_info"]


@pytest.mark.parametrize(
    "value",
    [
        f"token is {JWT}",
        f"Authorization: Bearer {JWT}",
        "Bearer opaque-token-1",
        "redis://user:hidden@host:6379/0",
        "postgresql://postgres:hidden@127.0.0.1/db",
        "sb_secret_hidden",
    ],
)
def test_h9_what_looks_like_a_secret_is_redacted(value):
    text = json.dumps(line(value, detail=[value, {"deep": value}]))
    assert REDACTED in text
    for secret in (JWT, "opaque-token-1", "hidden"):
        assert secret not in text


def test_h9_what_does_not_fit_a_model_is_redacted():
    given = {"code": "hidden, hidden\n", "other": b"hidden"}
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, int]).validate_python(given)
    error = raised.value
    exc_info = (ValidationError, error, error.__traceback__)
    found = line("failed", exc_info=exc_info)["context"]["exc_info"]
    assert "hidden" not in found
    assert f"input_value={REDACTED}, input_type=str" in found


@pytest.mark.parametrize("name", ["password", "Authorization", "refresh_token", "apikey", "Cookie"])
def test_h9_what_is_named_like_a_secret_is_redacted(name):
    assert redact({"outer": {name: "hidden"}}) == {"outer": {name: REDACTED}}


def test_h9_a_value_cannot_begin_a_line_of_its_own():
    record = logging.makeLogRecord({"msg": 'x\n{"level": "forged"}', "levelname": "INFO"})
    text = LogFormatter("%(message)s %(levelname)s").format(record)
    assert "\n" not in text
