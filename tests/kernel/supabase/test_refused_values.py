"""A value that SQL refuses is a 422 that names its field."""

import pytest
from postgrest import APIError

from kernel.errors import ValidationFailed
from kernel.supabase.errors import from_database

NULL = 'null value in column "title" of relation "posts" violates not-null constraint'
CHECK = 'new row for relation "posts" violates check constraint "posts_{}"'


@pytest.mark.parametrize(
    ("code", "message", "field"),
    [
        ("23502", NULL, "body.title"),
        ("23514", CHECK.format("title_check"), "body.title"),
        ("23514", CHECK.format("title_one_line"), "body.title"),
        ("23514", CHECK.format("site_name_check1"), "body.site_name"),
        ("22001", "value too long for type character varying(80)", "body"),
        ("22P02", 'invalid input syntax for type uuid: "secret"', "body"),
    ],
)
def test_it_names_the_field_and_repeats_nothing(code, message, field):
    error = from_database(APIError({"code": code, "message": message}))
    assert isinstance(error, ValidationFailed)
    assert error.details == {
        "fields": [{"field": field, "message": "The database does not accept this value."}]
    }
