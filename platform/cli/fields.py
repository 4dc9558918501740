"""The fields of a new table: `url:text title:text?` as columns, types of Python, and examples."""

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST: Final = 40  # characters of a name: PostgreSQL cuts those of indexes and policies at 63
# PostgreSQL's reserved words, which a table or column may not be called without quotes:
# https://www.postgresql.org/docs/current/sql-keywords-appendix.html
_RESERVED: Final = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with
"""
_TAKEN: Final = frozenset({"id", "created_at", "updated_at"})
# What pydantic's models have already, and the types that fields have: `date: date | None = None`
# is no class of Python.
_OF_MODELS: Final = frozenset(
    {"copy", "json", "dict", "schema", "validate", "construct", "fields", "date", "datetime"}
)
PLACE: Final = "label"
"""The field that the kinds have where a copy has its own."""
_EXAMPLE: Final = re.compile(rf'\{{"{PLACE}": "[^"]*"\}}')
IMPORTS: Final = (
    "from datetime import date, datetime",
    "from typing import Annotated",
    "from uuid import UUID",
    "from pydantic import AwareDatetime, Field, StrictBool",
    "from kernel.web import Text",
)
"""What the types need; a linter removes those that a copy does not use."""


class FieldError(ValueError):
    """A name or a field is not possible; the message is one sentence for people."""


@dataclass(frozen=True)
class _Type:
    stored: str
    received: str
    example: str


TYPES: Final = {
    "text": _Type("str", "Annotated[Text, Field(max_length=2_000)]", ""),
    "integer": _Type(
        "int", "Annotated[int, Field(strict=True, ge=-2_147_483_648, le=2_147_483_647)]", "7"
    ),
    "boolean": _Type("bool", "StrictBool", "True"),
    "date": _Type("date", "date", '"2026-01-02"'),
    "timestamptz": _Type("datetime", "AwareDatetime", '"2026-01-02T03:04:05Z"'),
    "uuid": _Type("UUID", "UUID", '"3820052a-bbd0-4a50-bce5-53a231166443"'),
}


@dataclass(frozen=True)
class Field:
    """A column of the new table; `optional` says that it may be null."""

    name: str
    type: str
    optional: bool

    @property
    def written(self) -> str:
        """The field as people write it."""
        return f"{self.name}:{self.type}{'?' if self.optional else ''}"

    @property
    def column(self) -> str:
        """The column in SQL."""
        null = "" if self.optional else " not null"
        bound = f" check (char_length({self.name}) <= 2000)" if self.type == "text" else ""
        return f"{self.name} {self.type}{null}{bound}"

    @property
    def stored(self) -> str:
        """The field of the entity."""
        null = " | None" if self.optional else ""
        return f"{self.name}: {TYPES[self.type].stored}{null}"

    @property
    def received(self) -> str:
        """The field of a request body."""
        null = " | None = None" if self.optional else ""
        return f"{self.name}: {TYPES[self.type].received}{null}"

    @property
    def example(self) -> str:
        """An entry of a dict in a test."""
        value = TYPES[self.type].example or f'"A {self.name.replace("_", " ")}"'
        return f'"{self.name}": {value}'


def checked_name(kind: str, name: str, *taken: str) -> str:
    """Return a name of a slice, a table or a column. Raises FieldError if it cannot be one."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise FieldError(
            f"{name!r} cannot be the name of a {kind}: take lower-case words joined by _, such as "
            f"save_bookmark, at most {LONGEST} characters."
        )
    # What one row is called is derived from the table, so its option may be unknown.
    remedy = f"choose another name for the {kind}{', as in --one purchase' * (kind == 'row')}."
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise FieldError(f"{name} is a reserved word of Python: {remedy}")
    if kind != "slice" and name in _RESERVED.split():
        raise FieldError(f"{name} is a reserved word of SQL: {remedy}")
    if name in taken:
        raise FieldError(f"{name} is used already: {remedy}")
    return name


def parsed(text: str, owner: str) -> list[Field]:
    """Return the fields of `url:text title:text?`. Raises FieldError."""
    found: list[Field] = []
    for word in text.replace(",", " ").split():
        name, _, type_ = word.partition(":")
        optional, type_ = type_.endswith("?"), type_.removesuffix("?")
        taken = (*_TAKEN, *_OF_MODELS, owner, *(field.name for field in found))
        checked_name("field", name, *taken)
        if name.startswith("model_"):
            raise FieldError(
                f"{name}: names that begin with model_ are pydantic's: choose another."
            )
        if type_ not in TYPES:
            known = ", ".join(TYPES)
            raise FieldError(
                f"{word!r} has no type that is known: write {name}:TYPE, with one of {known}, and "
                "? behind it if it may be null."
            )
        found.append(Field(name, type_, optional))
    if all(field.optional for field in found):
        raise FieldError(
            "A table needs a field that is not null: --fields 'url:text title:text?' has one."
        )
    return found


def in_python(source: str, fields: Iterable[Field]) -> str:
    """Put the fields into a module of a kind: in place of `label`."""
    fields = list(fields)
    examples = "{" + ", ".join(field.example for field in fields) + "}"
    lines, body = [], False
    for line in source.splitlines(keepends=True):
        if line.startswith("class "):
            body = "(Body)" in line
        if line.startswith(f"    {PLACE}: "):
            # A field with a default must not come before one without: pydantic allows it.
            own = [field.received if body else field.stored for field in fields]
            line = "".join(f"    {one}\n" for one in own)  # noqa: PLW2901
        line = _EXAMPLE.sub(lambda _: examples, line)  # noqa: PLW2901
        for verb in ("INSERT", "UPDATE"):
            granted = ", ".join(f'"{verb}({field.name})"' for field in fields)
            line = line.replace(f'"{verb}({PLACE})"', granted)  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)


def in_sql(sql: str, fields: Iterable[Field]) -> str:
    """Put the fields into a migration of a kind: in place of `label`."""
    fields = list(fields)
    names = ", ".join(field.name for field in fields)
    lines = []
    for line in sql.splitlines(keepends=True):
        if line.startswith(f"  {PLACE} "):
            lines += [f"  {field.column},\n" for field in fields]
        else:
            lines.append(line.replace(f"({PLACE})", f"({names})"))
    return "".join(lines)
