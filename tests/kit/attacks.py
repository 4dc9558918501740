"""A12: forbidden writes that users try with their own token, and the stored rows afterwards."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import pytest

from kit.people import Person
from kit.things import NewThing

# Each table whose rows have an author.
_OWNED: Final = """
select table_name from information_schema.columns
where table_schema = 'public' and column_name = 'author_id' order by 1
"""
_ROWS: Final = """
select to_jsonb(u) - array['updated_at', 'last_sign_in_at', 'raw_user_meta_data'] as account,
  to_jsonb(p) as profile
from auth.users u join public.profiles p on p.id = u.id where u.id = $1
"""
UNTOUCHABLE: Final[list[dict[str, Any]]] = [
    {"id": str(uuid4())},
    {"role": "admin"},
    {"app_metadata": {"role": "admin"}},
    {"author_id": str(uuid4())},
    {"user_id": str(uuid4())},
    {"created_at": "2000-01-01T00:00:00Z"},
    {"email_confirmed_at": "2000-01-01T00:00:00Z"},
]
"""Fields that no request body may set."""


def field_of(body: dict[str, Any]) -> str:
    """Return the name of the first field, which is the id of the test case."""
    return next(iter(body))


def spellings(number: Any) -> tuple[str, ...]:
    """Return the spellings of an id that a path may contain."""
    return str(number), str(number).upper(), number.hex, f"{{{number}}}"


@pytest.fixture
async def rows(
    database: Any,
    author: Person,
    stranger: Person,
    thing: Any,
    hidden_thing: Any,
    new_thing: NewThing,
) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """Reads the stored rows of the victim and of the attacker; both have some."""
    await new_thing(stranger)
    tables = [row["table_name"] for row in await database.fetch(_OWNED)]

    async def of(person: Person) -> dict[str, Any]:
        found = dict(await database.fetchrow(_ROWS, person.id))
        for table in tables:
            query = (
                f"select jsonb_agg(to_jsonb(t) order by t.id) from public.{table} t "
                "where author_id = $1"
            )
            found[table] = await database.fetchval(query, person.id)
        return found

    async def read() -> list[dict[str, Any]]:
        return [await of(author), await of(stranger)]

    return read
