"""A one-line field of the API is one line in the database, too, whoever writes it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from kernel.boot.discovery import discover
from kernel.web.fields import ONE_LINE

# The ends of each range that ONE_LINE excludes; NUL cannot be stored at all.
NOT_ONE_LINE = "\x01\t\n\r\x1f\x7f\x85\x9f\u2028\u2029"
CHECKS = """
select format('%I.%I', n.nspname, c.relname) as place, a.attname as field,
  array_agg(pg_get_expr(k.conbin, k.conrelid)) filter (where k.conkey = array[a.attnum]) as checks
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_constraint k on k.conrelid = c.oid and k.contype = 'c'
where n.nspname = 'public' and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
  and a.atttypid = 'text'::regtype and a.attname = any ($1)
group by 1, 2
"""


def lines_in(schema: Any) -> Iterator[str]:
    """Yield the names of one-line text properties in a JSON schema or its parts."""
    if isinstance(schema, list):
        for one in schema:
            yield from lines_in(one)
    if not isinstance(schema, Mapping):
        return
    for name, field in schema.get("properties", {}).items():
        kinds = [field, *field.get("anyOf", [])]
        if any(kind.get("pattern") == ONE_LINE for kind in kinds):
            yield name
    for part in schema.values():
        yield from lines_in(part)


def one_line_fields() -> set[str]:
    """Return the one-line fields in all request bodies of slices."""
    routes = [
        route
        for one in discover().values()
        if one.router is not None
        for route in one.router.routes
    ]
    bodies = [body for route in routes if (body := getattr(route, "body_field", None)) is not None]
    return {
        name
        for body in bodies
        for name in lines_in(TypeAdapter(body.field_info.annotation).json_schema())
    }


def test_the_fields_are_found():
    found = one_line_fields()
    shipped = {
        "create_post": "title",
        "update_user": "display_name",
        "update_settings": "site_name",
    }
    assert found >= {field for name, field in shipped.items() if name in discover()}


async def test_s9_every_one_line_field_has_its_check_in_sql(database):
    fields = one_line_fields()
    found = await database.fetch(CHECKS, sorted(fields))
    assert {row["field"] for row in found} == fields, "a field is in no table: state its place"
    for row in found:
        values = " and ".join(f"coalesce({check}, true)" for check in row["checks"] or ["true"])
        for character in NOT_ONE_LINE:
            passes = await database.fetchval(
                f"select {values} from (select $1::text as {row['field']}) one",
                f"One{character}line",
            )
            assert not passes, f"{row['place']}.{row['field']} takes {character!r}: add a check"
        plain = f"select {values} from (select $1::text as {row['field']}) one"
        assert await database.fetchval(plain, "Größe & “more”")


@pytest.mark.parametrize("wrong", [{}, {"pattern": "^x$"}])
def test_other_fields_are_not_taken_for_lines(wrong):
    assert list(lines_in({"properties": {"content": wrong}})) == []
