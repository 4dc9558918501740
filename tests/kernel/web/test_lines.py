"""O23: one line of text has one form, however it was typed."""

from typing import Annotated

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from kernel.web.failures import field_errors
from kernel.web.fields import Line

FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


class Named(BaseModel):
    name: Annotated[Line, Field(min_length=2, max_length=11)] | None = None


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ada", "Ada"),
        ("  Ada\u00a0 ", "Ada"),
        ("Andre\u0301", "André"),
        ("\u200bAda\ufeff", "Ada"),
        (" \u200e Ada \u200f", "Ada"),
        ("Ada\u202eecreivo", "Adaecreivo"),
        # Joiners inside belong to letters and emoji.
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("👩\u200d💻!", "👩\u200d💻!"),
        (f"{FLAG}!", f"{FLAG}!"),
        (FLAG, FLAG),
    ],
)
def test_o23_a_line_is_kept_in_one_form(typed, kept):
    assert Named(name=typed).name == kept


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "at least 2 characters"),
        ("\u200b\u200b\u200b", "at least 2 characters"),
        ("\u3164 \u3164", "at least 2 characters"),
        ("x" * 12, "at most 11 characters"),
        ("two\nlines", "characters here that are not allowed"),
        (7, "valid string"),
    ],
)
def test_o23_what_shows_nothing_is_too_short_and_says_so(typed, message):
    with pytest.raises(ValidationError) as raised:
        Named(name=typed)
    (shown,) = field_errors(RequestValidationError(raised.value.errors()).errors())
    assert message in shown["message"]
